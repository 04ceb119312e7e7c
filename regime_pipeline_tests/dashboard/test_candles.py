"""Candles with volume: loaded once they are asked for, drawn where the bars say, remembered, extended by new hours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline_tests.dashboard.browser import Open, height, ink, link, opened, painted, wait_until
from regime_pipeline_tests.dashboard.data.test_candles import with_bodies
from regime_pipeline_tests.dashboard.factories import make_rows, write

pytestmark = pytest.mark.slow

FIRST, END = 40, 100
CHOOSE = "[data-price=candles]"
_COLUMN = """([x, names]) => {
  const canvas = document.querySelector("#price canvas"), outer = canvas.getBoundingClientRect();
  const over = document.querySelector("#price .u-over").getBoundingClientRect();
  const left = Math.floor(over.left - outer.left + x * over.width), top = Math.round(over.top - outer.top);
  const styles = getComputedStyle(document.documentElement);
  const inks = names.map((name) => styles.getPropertyValue(`--${name}`).trim());
  const wanted = inks.map((ink) => [1, 3, 5].map((at) => parseInt(ink.slice(at, at + 2), 16)));
  const data = canvas.getContext("2d").getImageData(left, top, 1, Math.floor(over.height)).data;
  const isAt = (y, ink) => ink.every((part, i) => Math.abs(part - data[4 * y + i]) < 24) && data[4 * y + 3] > 200;
  return Array.from({ length: data.length / 4 }, (_, y) => wanted.findIndex((ink) => isAt(y, ink)));
}"""
"""Of each pixel down a column of the plot the place of its colour among those asked for, -1 for another."""


@pytest.fixture(scope="module")
def rows() -> MarketRows:
    return with_bodies(make_rows(240, without_bars=(70,)))


@pytest.fixture(scope="module")
def folder(rows: MarketRows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("candles") / "site"
    write([rows, with_bodies(make_rows(30 * 24, Market("ALFA-USDT", "1m")))], folder)
    return folder


def as_candles(page: Page) -> Page:
    page.click(CHOOSE)
    wait_until(page, "document.documentElement.dataset.shown === 'candles'")
    page.mouse.move(2, 2)
    painted(page)
    return page


def candle(page: Page) -> dict[str, str]:
    """What the chart says of the candle at the hour looked at: name and number."""
    words = page.locator(".tag-candle").inner_text().split()
    return {"start": " ".join(words[:2])} | dict(zip(words[2::2], words[3::2], strict=True))


def test_every_candle_stands_where_its_bar_says(visit: Open, folder: Path, rows: MarketRows) -> None:
    page = as_candles(visit(f"{folder.as_uri()}/{link(rows, FIRST, END, END - 1)}"))
    bars, ends = rows.bars, []
    assert "Candles of 1 h" in page.locator("#candle-note").inner_text()
    for at in range(len(bars)):
        hour = (int(bars.open_time_ms[at]) - rows.start_ms) / HOUR_MS
        if not FIRST <= hour < END - 2:
            continue
        column = page.evaluate(_COLUMN, [(hour + 0.5 - FIRST) / (END - FIRST), ["up", "down"]])
        drawn = [y for y, found in enumerate(column) if found >= 0]
        assert {column[y] for y in drawn} == {0 if bars.close[at] >= bars.open[at] else 1}, hour
        ends += [(int(bars.high[at]), drawn[0]), (int(bars.low[at]), drawn[-1] + 1)]

    slope, base = np.polyfit(*zip(*ends, strict=True), 1)
    assert max(abs(base + slope * price - y) for price, y in ends) <= 2.5
    assert max(y for _, y in ends) < height(page, "price") * 0.85  # the volume stands below
    hole = page.evaluate(_COLUMN, [(70.5 - FIRST) / (END - FIRST), ["up", "down"]])
    assert set(hole) == {-1}


def test_the_numbers_of_the_candle_looked_at_are_in_the_chart(visit: Open, folder: Path, rows: MarketRows) -> None:
    page = as_candles(visit(f"{folder.as_uri()}/{link(rows, FIRST, END, 80)}"))
    at = int(np.searchsorted(rows.bars.open_time_ms, rows.start_ms + 80 * HOUR_MS))
    bars = rows.bars

    told = candle(page)

    assert told["start"] == "2026-09-04 08:00"
    prices = {"O": bars.open, "H": bars.high, "L": bars.low, "C": bars.close}
    assert {name: told[name] for name in prices} == {
        name: f"{column[at] / bars.price_scale:,.2f}" for name, column in prices.items()
    }
    assert float(told["Vol"].replace(",", "")) == pytest.approx(bars.volume[at], rel=0.08)


def test_the_longer_the_period_the_longer_the_candles(visit: Open, folder: Path, rows: MarketRows) -> None:
    page = as_candles(visit(f"{folder.as_uri()}/ALFA-USDT_1m.html"))
    said = page.locator("#candle-note")
    assert said.inner_text() == "Candles of 2 h, made of bars of 1 min (of 5 min before 2026-09-29 00:00)"
    page.click("[data-days='0']")
    assert said.inner_text().startswith("Candles of 8 h")
    page.click("[data-days='1']")
    assert said.inner_text().startswith("Candles of 15 min")
    page.locator("#price").focus()
    for _ in range(12):
        page.keyboard.press("+")
    assert said.inner_text().startswith("Candles of 1 min")


def test_candles_are_asked_for_once_they_are_chosen_and_remembered(chromium: Browser, http: str) -> None:
    asked: list[str] = []
    with opened(chromium) as visit:
        page = visit(f"{http}ALFA-USDT_1h.html")
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        page.wait_for_load_state("networkidle")
        assert not any("candles" in url for url in asked)
        as_candles(page)
        assert sum(".candles.js?v=" in url for url in asked) == 1
        page.click("[data-price=line]")
        page.click(CHOOSE)
        page.reload()
        wait_until(page, "document.documentElement.dataset.shown === 'candles'")
        assert sum(".candles.js?v=" in url for url in asked) == 2
        assert page.locator(CHOOSE).get_attribute("aria-pressed") == "true"
        page.click("[data-price=line]")
        page.reload()
        page.wait_for_load_state("networkidle")
        assert sum(".candles.js?v=" in url for url in asked) == 2


def test_a_page_without_its_candles_goes_on_with_the_line(visit: Open, tmp_path: Path, rows: MarketRows) -> None:
    write([replace(rows, bars=rows.bars[:0])], tmp_path)
    page = visit(f"{tmp_path.as_uri()}/{rows.market.key}.html")

    page.click(CHOOSE)

    wait_until(page, "document.documentElement.dataset.shown === 'line'")
    assert page.locator("[data-price=line]").get_attribute("aria-pressed") == "true"


def test_a_page_left_open_takes_up_the_candles_of_new_hours(visit: Open, tmp_path: Path) -> None:
    market = Market("CHARLIE-USDT", "1h")
    write([with_bodies(make_rows(240, market))], tmp_path)
    page = visit("about:blank")
    page.clock.install(time="2026-09-11T00:10:00Z")
    page.goto(f"{tmp_path.as_uri()}/{market.key}.html")
    page.click(CHOOSE)
    page.clock.run_for(1_000)
    wait_until(page, "document.documentElement.dataset.shown === 'candles'")
    write([with_bodies(make_rows(243, market))], tmp_path)

    page.clock.run_for(61_000)
    wait_until(page, "document.querySelector('.age[data-ms=\"1789095600000\"]')")
    wait_until(page, "document.documentElement.dataset.shown === 'candles'")

    page.click("[data-days='1']")
    page.clock.run_for(1_000)
    assert candle(page)["start"] == "2026-09-11 02:00"
    assert ink(page, "up") != ink(page, "down")
