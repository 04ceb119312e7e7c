"""The pages for operators, analysts, data engineers and agent builders: every block of theirs runs, in order.

They begin alike, so one home that was filled once serves them all; see `test_tutorial` for how blocks are run.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline_tests.conftest import REPOSITORY, temporary_homes
from regime_pipeline_tests.test_tutorial import BLOCK, printed, run, working_in

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
PAGES = {page.stem.removeprefix("for-"): page for page in sorted((REPOSITORY / "docs").glob("for-*.md"))}
BEGIN = "export REGIME_HOME=ten-minutes\nregime init\nregime backfill\n"
SAID = {
    "operators": ("ALFA-USDT", "80"),
    "analysts": ("verdict", "RANGE_WEAK", "mean"),
    "data-engineers": ("database", "verdict", "confidence", "RANGE_WEAK"),
    "agent-builders": ('"verdict"', "ALFA-USDT"),
}


@pytest.fixture(scope="module")
def begun() -> Iterator[Path]:
    """A folder with the home that the pages begin with."""
    with temporary_homes() as make:
        folder = make("ten-minutes").parent
        with working_in(folder), printed():
            run("sh", None, BEGIN, {})
        yield folder


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(each["kind"], each["body"]) for each in BLOCK.finditer(page.read_text("utf-8"))]


@pytest.mark.parametrize("persona", PAGES)
def test_every_block_of_a_page_runs(
    persona: str, begun: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with working_in(begun), printed() as text:
        os.environ["REGIME_HOME"] = "ten-minutes"
        for kind, body in blocks(PAGES[persona]):
            if body != BEGIN:
                run(kind, None, body, names)

    shown = text.getvalue() + capfd.readouterr().out
    assert [word for word in SAID[persona] if word not in shown] == []


def test_pages_are_short_and_end_with_where_to_go() -> None:
    assert PAGES.keys() == SAID.keys()
    for page in PAGES.values():
        text = page.read_text("utf-8")
        assert len(text.splitlines()) <= 70, page.name
        assert "first answer in ten minutes" in text.splitlines()[0]
        assert re.search(r"^Next: \[", text, re.MULTILINE), page.name
        assert {kind for kind, _ in blocks(page)} <= {"sh", "python"}
        assert BEGIN in text or page.stem == "for-analysts"
