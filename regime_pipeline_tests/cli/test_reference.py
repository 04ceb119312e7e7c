"""docs/cli.md is the command line's own help; `python -m regime_pipeline_tests.cli.test_reference` writes it again."""

from __future__ import annotations

import os
import subprocess
import sys

from regime_pipeline_tests.conftest import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "cli.md"
END = "=== end of one help ==="
SCRIPT = """
import contextlib, sys, typer
from regime_pipeline.cli import app
whole = app.make_app("")
app.make_app = lambda _: whole
def walk(command, name):
    yield name
    for child, found in sorted(getattr(command, "commands", {}).items()):
        yield from walk(found, f"{name} {child}".strip())
for name in walk(typer.main.get_command(whole), ""):
    print("name:" + name)
    sys.argv[:] = ["regime", *name.split(), "--help"]
    with contextlib.suppress(SystemExit):
        app.main()
    print(END)
"""


def helps() -> dict[str, str]:
    """Help text of every command, 100 columns wide, without colours and trailing spaces."""
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("END", repr(END))],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    texts = [text.lstrip("\n").partition("\n") for text in done.stdout.split(END)[:-1]]
    return {
        name.removeprefix("name:"): "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
        for name, _, text in texts
    }


def reference() -> str:
    sections = [f"## regime {name}".rstrip() + f"\n\n```\n{text}\n```" for name, text in helps().items()]
    return "\n\n".join(["# Command line", *sections]) + "\n"


def test_the_reference_is_the_help() -> None:
    assert REFERENCE.read_text("utf-8") == reference()


if __name__ == "__main__":
    REFERENCE.write_text(reference(), "utf-8")
