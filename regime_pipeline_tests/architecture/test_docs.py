"""Every link of the pages leads somewhere: to a file that exists and, with an anchor, to a heading of it; offline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), REPOSITORY / "docker" / "README.md"])
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"```.*?```", re.DOTALL)


def links(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text("utf-8"))
    found = (first or second for first, second in _LINK.findall(text))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#{1,6} +(.+?)\s*$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()) for heading in headings)
    return {text.replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_is_listed_in_the_index() -> None:
    index = set(links(REPOSITORY / "docs" / "README.md"))
    assert {page.name for page in (REPOSITORY / "docs").glob("*.md")} - {"README.md"} <= index
