"""The hour under the pointer, in words: every number and sentence is that of the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.grids.schema import ACTIONS
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.schema import DIRECTIONS, HOUR_STATUSES, VERDICTS
from regime_pipeline_tests.dashboard.browser import Open, link, minute, wait_until
from regime_pipeline_tests.dashboard.factories import ABSENT, BARLESS, site_rows

pytestmark = pytest.mark.slow

FIRST, END = 100, 220


@pytest.fixture(scope="module")
def rows() -> MarketRows:
    return site_rows()[0]


@pytest.fixture
def address(site: Path) -> str:
    """One way to open the site is enough here: `test_panels` opens it both ways."""
    return f"{site.as_uri()}/"


@pytest.fixture
def page(visit: Open, address: str, rows: MarketRows) -> Page:
    return visit(address + link(rows, FIRST, END, END - 1))


def point_at(page: Page, chart: str, hour: int) -> None:
    """Move the pointer to the middle of an hour in a chart."""
    over = page.locator(f"#{chart} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * (hour - FIRST + 0.5) / (END - FIRST), box["y"] + box["height"] / 2)


def wait_for_hour(page: Page, rows: MarketRows, hour: int) -> None:
    close = minute(rows.start_ms + (hour + 1) * HOUR_MS).replace("T", " ")
    wait_until(page, "said => document.getElementById('r-time').textContent === said", close)


def facts(page: Page) -> dict[str, str]:
    terms, values = (page.locator(f"#r-facts {tag}").all_text_contents() for tag in ("dt", "dd"))
    return dict(zip(terms, values, strict=True))


@pytest.mark.parametrize("chart", ["price", "ribbons", "scores", "confidence"])
def test_every_chart_tells_the_hour_under_the_pointer(page: Page, rows: MarketRows, chart: str) -> None:
    for hour in (130, 199):
        point_at(page, chart, hour)
        wait_for_hour(page, rows, hour)

        assert_described(page, rows, hour)


def assert_described(page: Page, rows: MarketRows, hour: int) -> None:
    def value(name: str) -> float:
        return float(rows.on_calendar(name)[hour])

    told, low, high = facts(page), value("range_low"), value("range_high")
    verdict = VERDICTS[int(value("verdict"))]
    assert verdict.replace("_", " ").capitalize() in page.locator("#r-verdict").inner_text()
    assert told["Close"] == f"{value('close'):.2f}"
    assert told["Range"] == f"{low:.2f} \N{EN DASH} {high:.2f}"
    assert told["Confidence"] == f"{value('confidence'):.2f}"
    assert told["Direction"] == DIRECTIONS[int(value("direction"))]
    assert told["Trend"] == f"{value('trend_score'):.1f}"
    assert told["Capacity"] == f"{value('grid_capacity_score'):.1f}"
    assert told["Candles"].lower() == HOUR_STATUSES[int(value("hour_status"))]
    assert told["3D regime"].upper() == REGIME_STATES[int(value("candle_state"))].full_regime.replace("_", " ")
    action = ACTIONS[int(rows.advice_on_calendar("action")[hour])]
    assert told["Advice"] == action.replace("_", " ").capitalize()
    stored = rows.documents("factors")[hour]
    said = page.locator("#r-factors li").all_text_contents()
    assert said == [f"{factor.outcome} {factor.sentence}" for factor in stored]
    shown = page.locator("#r-weights li").all_text_contents()
    weights = rows.documents("weights")[hour]
    assert [text.partition(" ")[0] for text in shown] == [
        each["verdict"].partition("_")[0].capitalize() for each in weights
    ]
    assert [text.split()[-2] for text in shown] == [f"{each['weight'] * 100:.0f}" for each in weights]


def test_a_missing_hour_says_so_and_shows_nothing_else(page: Page, rows: MarketRows) -> None:
    point_at(page, "ribbons", ABSENT[1])
    wait_for_hour(page, rows, ABSENT[1])

    assert page.locator("#r-verdict").inner_text() == "No row: this hour is not materialized."
    assert facts(page) == {}
    assert page.locator("#r-factors li").count() == 0


def test_an_hour_without_bars_has_no_close(page: Page, rows: MarketRows) -> None:
    point_at(page, "ribbons", BARLESS[0])
    wait_for_hour(page, rows, BARLESS[0])

    assert (facts(page)["Close"], facts(page)["Candles"]) == ("\N{EN DASH}", "Missing")


def test_too_little_data_is_described_as_such(visit: Open, address: str, rows: MarketRows) -> None:
    page = visit(address + link(rows, 0, 48, 5))

    assert "Insufficient data" in page.locator("#r-verdict").inner_text()
    assert np.isnan(rows.on_calendar("range_low")[5])
    assert facts(page)["Range"] == "none agreed on"
    assert facts(page)["Trend"] == "\N{EN DASH}"
    assert page.locator("#r-weights li").count() == 0
    assert "Still warming up" in page.locator("#r-factors").inner_text()


def test_leaving_the_chart_returns_to_the_chosen_hour(page: Page, rows: MarketRows) -> None:
    point_at(page, "price", 130)
    wait_for_hour(page, rows, 130)

    page.mouse.move(5, 5)

    wait_for_hour(page, rows, END - 1)


def test_a_click_chooses_the_hour(page: Page, rows: MarketRows) -> None:
    point_at(page, "price", 130)
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(5, 5)

    wait_for_hour(page, rows, 130)
    assert page.locator("#hour").input_value() == "130"
