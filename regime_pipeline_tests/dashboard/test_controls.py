"""Period, playback, legend, keyboard, addresses and exports: what a reader can do with a market's page."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.payload import SCORE_COLUMNS
from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.dashboard.browser import (
    Open,
    ink,
    is_close,
    link,
    minute,
    opened,
    painted,
    pixels,
    wait_until,
)
from regime_pipeline_tests.dashboard.factories import ABSENT, ALFA, QUARTERS, site_rows

pytestmark = pytest.mark.slow

INSIDE_PX = 30
LAST = 239
AT_REST_MS = 400
"""Longer than the page waits before it changes its address."""


@pytest.fixture(scope="module")
def rows() -> MarketRows:
    return site_rows()[0]


@pytest.fixture
def address(http: str) -> str:
    """One way to open the site is enough here: `test_panels` opens it both ways."""
    return http


def still(page: Page) -> Page:
    """Make the page's clock stand still; only a test moves it."""
    page.clock.install(time="2026-11-01T00:00:00Z")
    page.reload()
    wait_until(page, "document.documentElement.dataset.ready === 'true'")
    page.clock.pause_at("2026-11-01T06:00:00Z")
    return page


def hour(page: Page) -> int:
    return int(page.locator("#hour").input_value())


def verdict_pixels(page: Page, first: int, end: int, hours: list[int]) -> list[str | None]:
    """The verdict whose colour stands at each hour of a view; None where none does."""
    inks = {name: ink(page, name) for name in VERDICTS}
    found = pixels(page, "ribbons", [((at - first + 0.5) / (end - first), INSIDE_PX) for at in hours])
    return [next((name for name, color in inks.items() if is_close(one, color)), None) for one in found]


def test_playback_goes_hour_by_hour_at_the_chosen_speed_and_pauses(visit: Open, address: str, rows: MarketRows) -> None:
    page = still(visit(address + link(rows, 60, 140, 80)))

    page.click("#play")
    page.clock.run_for(1000)
    assert (hour(page), page.locator("#play").inner_text()) == (88, "Pause")
    page.select_option("#speed", "2")
    page.clock.run_for(2000)
    assert hour(page) == 92
    page.click("#play")
    page.clock.run_for(5000)

    assert (hour(page), page.locator("#play").inner_text()) == (92, "Play")


def test_playback_hides_what_came_after_and_ends_with_the_data(visit: Open, address: str, rows: MarketRows) -> None:
    page = still(visit(address + link(rows, 160, 240, 230)))
    verdict = [VERDICTS[int(code)] for code in rows.on_calendar("verdict")[160:]]

    page.click("#play")
    page.clock.run_for(500)  # four hours
    assert hour(page) == 234
    assert verdict_pixels(page, 160, 240, [210, 233, 236, 238]) == [verdict[50], verdict[73], None, None]
    page.clock.run_for(5000)

    assert (hour(page), page.locator("#play").inner_text()) == (LAST, "Play")
    assert verdict_pixels(page, 160, 240, [236, 238]) == [verdict[76], verdict[78]]


def test_playback_moves_the_view_along(visit: Open, address: str, rows: MarketRows) -> None:
    page = still(visit(address + link(rows, 60, 100, 96)))

    page.click("#play")
    page.clock.run_for(1000)
    page.click("#play")
    page.clock.run_for(AT_REST_MS)

    assert hour(page) == 104
    assert page.url.endswith(f"&at={minute(rows.start_ms + 104 * HOUR_MS)}")
    start, end = (minute(rows.start_ms + at * HOUR_MS) for at in (71, 111))  # a quarter of the view lies ahead
    assert f"#from={start}&to={end}" in page.url


def test_the_slider_is_moved_by_keys_and_says_what_it_shows(visit: Open, address: str, rows: MarketRows) -> None:
    page = visit(address + link(rows, 60, 140, 100))
    slider = page.locator("#hour")

    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")

    close, verdict = minute(rows.start_ms + 102 * HOUR_MS), VERDICTS[int(rows.on_calendar("verdict")[101])]
    assert hour(page) == 101
    words = verdict.replace("_", " ").capitalize()
    assert slider.get_attribute("aria-valuetext") == f"{close.replace('T', ' ')} UTC, {words}"
    assert page.locator("#r-time").inner_text() == close.replace("T", " ")
    page.keyboard.press("Home")
    assert hour(page) == 0


def test_every_control_is_reached_by_tab_and_shows_the_focus(visit: Open, address: str, rows: MarketRows) -> None:
    page = visit(address + link(rows, 60, 140, 100))
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(e => [e.id || e.textContent.trim() || e.dataset.label, getComputedStyle(e).outlineStyle])"
                "(document.activeElement)"
            )
        )

    names = [name for name, _ in reached]
    for wanted in (
        "Skip to the content",
        "All markets",
        "goto",
        "price",
        "24 h",
        "7 d",
        "All",
        "csv",
        "png",
        "play",
        "speed",
    ):
        assert wanted in names, names
    assert any(name.startswith("15m") for name in names)
    assert {"hour", "veil", "TREND", "CHOPPY"} <= set(names)
    assert {style for _, style in reached[: names.index("CHOPPY")]} == {"solid"}


def test_hidden_states_leave_the_ribbon_and_come_back(visit: Open, address: str, rows: MarketRows) -> None:
    page = visit(address + link(rows, 0, 140, 139))
    codes = rows.on_calendar("verdict")
    shown = {name: int((codes[:139] == VERDICTS.index(name)).argmax()) for name in VERDICTS}
    assert verdict_pixels(page, 0, 140, list(shown.values())) == list(shown)

    for name, at in shown.items():
        page.uncheck(f"input[data-label='{name}']")
        assert verdict_pixels(page, 0, 140, [at]) == [None]
        page.check(f"input[data-label='{name}']")
        assert verdict_pixels(page, 0, 140, [at]) == [name]


def test_an_address_holds_period_hour_and_hidden_states(visit: Open, address: str, rows: MarketRows) -> None:
    page = still(visit(f"{address}{ALFA.key}.html"))
    page.click("[data-days='1']")
    page.uncheck("input[data-label='TREND']")
    page.locator("#hour").focus()
    page.keyboard.press("ArrowLeft")
    page.clock.run_for(AT_REST_MS)

    start, end, at = (minute(rows.start_ms + each * HOUR_MS) for each in (216, 240, 238))
    assert page.url.endswith(f"#from={start}&to={end}&at={at}&hide=verdict.TREND")
    page.clock.resume()
    again = visit(page.url)
    assert hour(again) == 238
    assert not again.is_checked("input[data-label='TREND']")
    assert again.locator("[data-days='1']").get_attribute("aria-pressed") == "true"
    assert again.locator("[data-days='7']").get_attribute("aria-pressed") == "false"
    other = again.locator("a.keep", has_text="15m").evaluate("link => link.href")
    assert other == f"{address}{QUARTERS.key}.html#from={start}&to={end}&at={at}&hide=verdict.TREND"


def test_what_the_page_writes_into_its_address_is_not_read_back_over_a_choice_made_since(
    visit: Open, address: str
) -> None:
    page = visit(f"{address}{ALFA.key}.html")
    page.evaluate("addEventListener('hashchange', () => { document.body.dataset.reread = 'yes'; })")

    page.uncheck("input[data-label='TREND']")
    wait_until(page, "location.hash.endsWith('hide=verdict.TREND')")
    page.check("input[data-label='TREND']")
    wait_until(page, "location.hash && !location.hash.includes('hide')")

    assert page.locator("body").get_attribute("data-reread") is None
    page.evaluate("location.hash = '#hide=verdict.TREND'")
    wait_until(page, "document.body.dataset.reread")
    assert not page.is_checked("input[data-label='TREND']")


def test_a_page_that_nobody_touched_keeps_its_plain_address(visit: Open, address: str) -> None:
    page = still(visit(f"{address}{ALFA.key}.html"))

    page.clock.run_for(5000)

    assert page.url == f"{address}{ALFA.key}.html"


@pytest.mark.parametrize("fragment", ["#from=soon&to=later&at=never", "#at=2031-01-01T00:00", "#hide=&from=2026-09-02"])
def test_a_spoilt_address_shows_the_newest_week(visit: Open, address: str, fragment: str) -> None:
    page = visit(f"{address}{ALFA.key}.html{fragment}")

    assert page.locator("[data-days='7']").get_attribute("aria-pressed") == "true"
    assert hour(page) == LAST


def test_the_view_is_moved_and_zoomed_within_the_data(visit: Open, address: str, rows: MarketRows) -> None:
    page = still(visit(f"{address}{ALFA.key}.html"))

    def view() -> str:
        page.clock.run_for(AT_REST_MS)
        return page.url.partition("#")[2].partition("&at=")[0]

    def span(first: int, end: int) -> str:
        return f"from={minute(rows.start_ms + first * HOUR_MS)}&to={minute(rows.start_ms + end * HOUR_MS)}"

    page.click("[data-days='1']")
    assert view() == span(216, 240)
    page.click("[data-pan='-1']")
    assert view() == span(204, 228)
    page.click("[data-pan='1']")
    page.click("[data-pan='1']")
    assert view() == span(216, 240)
    page.click("[data-days='0']")
    assert view() == span(0, 240)
    _drag(page, "price", 0.25, 0.5)
    assert view() == span(60, 120)


def _drag(page: Page, chart: str, first: float, last: float) -> None:
    """Draw a span in a chart with the pointer."""
    over = page.locator(f"#{chart} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * first, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * last, y, steps=4)
    page.mouse.up()


def test_the_csv_has_every_hour_in_view_as_the_rows_have_it(visit: Open, address: str, rows: MarketRows) -> None:
    page = visit(address + link(rows, 140, 164, 150))

    with page.expect_download() as download:
        page.click("#csv")

    assert download.value.suggested_filename == "ALFA-USDT_1h_20260906T20_20260907T20.csv"
    table = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    hours = [at for at in range(140, 164) if at not in ABSENT]
    assert [row["hour_start"] for row in table] == [f"{to_iso(rows.start_ms + at * HOUR_MS)[:16]}Z" for at in hours]
    assert [row["known_at"] for row in table] == [f"{to_iso(rows.start_ms + (at + 1) * HOUR_MS)[:16]}Z" for at in hours]
    assert [row["verdict"] for row in table] == [VERDICTS[int(rows.on_calendar("verdict")[at])] for at in hours]
    for name in SCORE_COLUMNS:
        assert [row[name] for row in table] == [f"{rows.on_calendar(name)[at]:.1f}" for at in hours]
    assert [row["close"] for row in table] == [f"{rows.on_calendar('close')[at]:.2f}" for at in hours]
    decided = [deciding(rows.documents("factors")[at]).sentence for at in hours]
    assert [row["reason"] for row in table] == decided


def test_the_png_holds_every_chart(visit: Open, address: str, rows: MarketRows) -> None:
    page = visit(address + link(rows, 60, 140, 100))

    with page.expect_download() as download:
        page.click("#png")

    assert download.value.suggested_filename == "ALFA-USDT_1h_20260903T12_20260906T20.png"
    content = Path(download.value.path()).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, tall = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    canvases = page.evaluate("[...document.querySelectorAll('.plot canvas')].map((c) => [c.width, c.height])")
    assert (width, tall) == (max(w for w, _ in canvases), sum(h for _, h in canvases) + 28)
    assert len(content) > 10_000  # four charts, not an empty sheet


def test_the_theme_follows_the_system_while_the_page_is_open(chromium: Browser, address: str, rows: MarketRows) -> None:
    with opened(chromium) as visit:
        page = visit(address + link(rows, 0, 140, 139))
        names = [VERDICTS[int(code)] for code in rows.on_calendar("verdict")[20:130:10]]
        light = ink(page, "TREND")

        page.emulate_media(color_scheme="dark")
        painted(page)

        assert ink(page, "TREND") != light
        assert verdict_pixels(page, 0, 140, list(range(20, 130, 10))) == names
