"""docs/tutorial.md runs, block by block, and prints what it says.

`python -m regime_pipeline_tests.test_tutorial` mends it. Commands run in this process: what a shell would do with them
is `export`, words and files, no more.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline.cli import console
from regime_pipeline.cli.app import main
from regime_pipeline_tests.conftest import REPOSITORY, temporary_homes

pytestmark = pytest.mark.slow

TUTORIAL = REPOSITORY / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>\S+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def command(line: str) -> None:
    """Run one line of a shell block."""
    name, *words = shlex.split(line, comments=True)
    if name == "export":
        os.environ.update(word.split("=", 1) for word in words)
        return
    assert name == "regime", line
    sys.argv[:] = [name, *words]
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, line


def run(kind: str, file: str | None, body: str, names: dict[str, Any]) -> None:
    if kind == "toml":
        assert file is not None
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(body, "utf-8")
    elif kind == "python":
        exec(compile(body, str(TUTORIAL), "exec"), names)
    else:
        for line in body.splitlines():
            command(line)


@contextlib.contextmanager
def printed() -> Iterator[io.StringIO]:
    """Catch what goes to stdout, laid out for 80 columns."""
    text, width = io.StringIO(), console.out.width
    console.out.width = 80
    try:
        with contextlib.redirect_stdout(text):
            yield text
    finally:
        console.out.width = width


def replay(tutorial: str) -> str:
    """Run every block in the current directory and return the tutorial with what was printed."""
    names: dict[str, Any] = {}
    last = ""

    def replayed(block: re.Match[str]) -> str:
        nonlocal last
        if block["kind"] == "text":
            return f"```text\n{last}```"
        with printed() as text:
            run(block["kind"], block["file"], block["body"], names)
        last = "".join(f"{line.rstrip()}\n" for line in text.getvalue().strip("\n").splitlines())
        return block[0]

    return BLOCK.sub(replayed, tutorial)


@contextlib.contextmanager
def working_in(place: Path) -> Iterator[None]:
    """Work in a directory; environment and arguments are as they were afterwards."""
    before, folder, words = dict(os.environ), Path.cwd(), list(sys.argv)
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
        sys.argv[:] = words


@pytest.mark.slow
@pytest.mark.postgres
def test_the_tutorial_runs_and_prints_what_it_says(make_home: Callable[..., Path]) -> None:
    text, home = TUTORIAL.read_text("utf-8"), make_home("tutorial")

    with working_in(home.parent):
        found = replay(text)

    assert found == text
    assert (home / "backtest" / "report.html").stat().st_size > 10_000


def test_every_kind_of_block_is_run() -> None:
    kinds = [match["kind"] for match in BLOCK.finditer(TUTORIAL.read_text("utf-8"))]

    assert TUTORIAL.read_text("utf-8").count("\n```") == 2 * len(kinds)
    assert set(kinds) == {"sh", "python", "toml", "text"}


if __name__ == "__main__":
    with temporary_homes() as make, working_in(make("tutorial").parent):
        mended = replay(TUTORIAL.read_text("utf-8"))
    TUTORIAL.write_text(mended, "utf-8")
