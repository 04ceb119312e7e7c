"""The words of the pages: beside every term for pointer, keyboard and touch; the documentation has the same.

`python -m regime_pipeline_tests.dashboard.test_glossary` writes the table of `docs/definitions.md` again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from regime_pipeline.dashboard.glossary import GLOSSARY
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.dashboard.browser import Open, opened, wait_until
from regime_pipeline_tests.dashboard.factories import ALFA

PAGE = REPOSITORY / "docs" / "definitions.md"
_TABLE = re.compile(r"(?<=\| term \| meaning \|\n\|---\|---\|\n).*?\n(?=\n)", re.DOTALL)


def table() -> str:
    """Return the terms as a table of the documentation."""
    return "".join(f"| {term.name} | {term.text} |\n" for term in GLOSSARY.values())


def test_the_documentation_has_the_same_words() -> None:
    assert _TABLE.findall(PAGE.read_text("utf-8")) == [table()]


def test_every_state_and_verdict_has_words() -> None:
    assert {*VERDICTS, *SIMPLIFIED} <= GLOSSARY.keys()


def test_every_term_of_a_page_has_words_and_every_word_is_on_a_page(site: Path) -> None:
    asked: set[str] = set()
    for page in site.glob("*.html"):
        text = page.read_text("utf-8")
        terms, words = (set(re.findall(pattern, text)) for pattern in (r'data-term="([^"]+)"', r'id="term-([^"]+)"'))
        assert terms <= words, page.name
        asked |= terms
    assert GLOSSARY.keys() - asked <= {"restart", "probation"}  # those that stand where a restart is permitted


@pytest.mark.slow
def test_a_term_tells_its_meaning_to_pointer_and_keyboard(visit: Open, http: str) -> None:
    page = visit(f"{http}{ALFA.key}.html")
    tip, term = page.get_by_role("tooltip"), page.locator(".summary [data-term=confidence]")

    term.hover()
    assert tip.inner_text() == f"{GLOSSARY['confidence'].name} {GLOSSARY['confidence'].text}"
    box = tip.bounding_box()
    assert box
    page.mouse.move(box["x"] + 10, box["y"] + 10)  # it stays while the pointer is on it
    page.wait_for_timeout(300)
    assert tip.is_visible()
    page.keyboard.press("Escape")
    assert not tip.is_visible()

    page.mouse.move(2, 2)
    page.locator("#goto").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.term") == "confidence":
            break
    assert tip.is_visible()
    assert GLOSSARY["confidence"].text in tip.inner_text()
    assert page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent"
    ) == (GLOSSARY["confidence"].text)
    page.locator("input[data-label=TREND]").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert GLOSSARY["TREND"].text in tip.inner_text()
    page.locator("#csv").focus()
    wait_until(page, "document.querySelector('[role=tooltip]').hidden")


@pytest.mark.slow
def test_a_tap_tells_it_too_within_the_screen(chromium: Browser, http: str) -> None:
    with opened(chromium, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as visit:
        page = visit(f"{http}{ALFA.key}.html")
        tip = page.get_by_role("tooltip")
        for name in ("stale", "range", "scores"):
            page.locator(f"[data-term={name}]").first.tap()
            assert GLOSSARY[name].text in tip.inner_text()
            box = tip.bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        page.locator("h1").tap()
        assert not tip.is_visible()


def write() -> None:
    """Write the table of the documentation."""
    PAGE.write_text(_TABLE.sub(lambda _: table(), PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write()
