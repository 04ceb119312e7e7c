"""Wheel, dragging, double click, keys and the cross of a market's charts; grid, weights and gates in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline_tests.dashboard.browser import Open, link, minute
from regime_pipeline_tests.dashboard.factories import ALFA, make_rows, site_rows, write

pytestmark = pytest.mark.slow

FIRST, END = 60, 140


@pytest.fixture(scope="module")
def rows() -> MarketRows:
    return site_rows()[0]


@pytest.fixture
def page(visit: Open, http: str, rows: MarketRows) -> Page:
    return visit(http + link(rows, FIRST, END, 100))


def view(page: Page, rows: MarketRows) -> tuple[float, float]:
    """Ends of the period in view, in hours since the first row, once the address has come to rest."""
    page.wait_for_timeout(400)
    at = "(name) => Date.parse(new URLSearchParams(location.hash.slice(1)).get(name) + 'Z')"
    start, end = ((page.evaluate(at, name) - rows.start_ms) / HOUR_MS for name in ("from", "to"))
    return start, end


def point(page: Page, chart: str, across: float, down: float = 0.5) -> tuple[float, float]:
    over = page.locator(f"[data-chart={chart}] .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def test_the_wheel_zooms_about_the_pointer_and_back(page: Page, rows: MarketRows) -> None:
    page.mouse.move(*point(page, "price", 0.25))
    page.mouse.wheel(0, -100)
    start, end = view(page, rows)

    assert end - start == pytest.approx(80 / 1.25, abs=0.1)
    assert start + 0.25 * (end - start) == pytest.approx(80, abs=0.3)
    page.mouse.wheel(0, 100)
    assert view(page, rows) == pytest.approx((FIRST, END), abs=0.1)


def test_the_wheel_scrolls_the_page_over_other_charts_and_sideways_moves_the_period(
    page: Page, rows: MarketRows
) -> None:
    page.mouse.move(*point(page, "scores", 0.5))
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, 60)
    page.wait_for_timeout(300)
    assert page.evaluate("scrollY") > before
    page.mouse.move(*point(page, "scores", 0.5))
    page.mouse.wheel(100, 0)

    start, end = view(page, rows)
    assert start > FIRST
    assert end - start == pytest.approx(80, abs=0.1)


def test_dragging_with_shift_moves_the_period(page: Page, rows: MarketRows) -> None:
    page.mouse.move(*point(page, "price", 0.5))
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(*point(page, "price", 0.75), steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.mouse.move(*point(page, "price", 0.1))

    assert view(page, rows) == pytest.approx((FIRST - 20, END - 20), abs=0.3)


def test_a_double_click_shows_the_newest_week_again(page: Page, rows: MarketRows) -> None:
    page.mouse.dblclick(*point(page, "confidence", 0.5))

    assert view(page, rows) == (240 - 168, 240)


def test_the_cross_names_price_and_time(page: Page, rows: MarketRows) -> None:
    assert not page.locator(".tag-price").is_visible()
    page.mouse.move(*point(page, "price", 0.5, 0.25))
    said = page.locator(".tag-time").inner_text()
    high = float(page.locator(".tag-price").inner_text())
    page.mouse.move(*point(page, "price", 0.5, 0.75))
    low = float(page.locator(".tag-price").inner_text())

    assert said.startswith(minute(rows.start_ms + 100 * HOUR_MS).replace("T", " ")[:13])
    assert said.endswith(" UTC")
    assert low < float(rows.hours["close"][FIRST:END].mean()) + 5
    assert high > low + 1


def test_keys_move_the_hour_and_the_period(page: Page, rows: MarketRows) -> None:
    page.locator("#price").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.locator("#hour").input_value() == "101"
    page.keyboard.press("Shift+ArrowRight")
    assert view(page, rows) == (FIRST + 20, END + 20)
    page.keyboard.press("+")
    start, end = view(page, rows)
    assert (start, end) == pytest.approx((88, 152), abs=0.1)
    page.keyboard.press("0")
    assert view(page, rows) == (72, 240)
    page.keyboard.press("Home")
    assert page.locator("#hour").input_value() == "0"
    page.keyboard.press("End")
    assert page.locator("#hour").input_value() == "239"


def test_the_weights_are_one_bar_that_includes_the_winner(page: Page) -> None:
    bars = page.evaluate("[...document.querySelectorAll('.stack i')].map((i) => [i.className, i.offsetWidth])")
    texts = [text.strip() for text in page.locator("#r-weights li").all_inner_texts()]

    shares = [int(text.split()[-2]) for text in texts]
    assert sum(shares) == 100
    assert [name.split()[1].replace("_", " ").capitalize() for name, _ in bars] == [
        " ".join(text.split()[:-2]) for text in texts
    ]
    whole = sum(width for _, width in bars)
    assert [100 * width / whole for _, width in bars] == pytest.approx(shares, abs=1.5)


def test_the_grid_and_gates_at_risk_are_in_words_without_contradiction(visit: Open, tmp_path: Path) -> None:
    rows = make_rows(48, has_advice=True)
    assert rows.advice is not None
    failing = {"gate": 1, "name": "ADX_DECAY", "is_met": False, "sentence": "ADX 30.0 is not below 20."}
    given = {"hold_24h": 0.75, "hold_72h": 0.5, "edge_distance_atr": -1.5, "gate_state": 4}
    advice = rows.advice | {name: np.full(48, value) for name, value in given.items()}
    advice["gate_checks"][-1] = [failing]
    write([replace(rows, advice=advice)], tmp_path)
    page = visit(f"{tmp_path.as_uri()}/{ALFA.key}.html")
    close = float(rows.hours["close"][-1])
    edge = 100 * min((close - 95) / 95, (105 - close) / 105)

    summary = page.locator(".summary").inner_text()
    assert f"Grid 95.00 to 105.00, disabled. Nearest edge: {edge:.1f} %, 1.5 ATR." in summary
    assert "Every close stays inside for 24 h with probability 75 %, for 72 h with 50 %." in summary
    assert "At risk: gate 1 fails this hour, lost if the next one fails too." in summary
    assert page.locator(".gate-list li").all_inner_texts() == [
        "Gate 1 passed, at risk: it fails this hour and is lost if the next one fails too",
        "Gate 2 passed; not looked at while gate 1 fails",
        "Gate 3 passed; not looked at while gate 1 fails",
    ]
