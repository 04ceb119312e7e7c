"""The overview of three hundred markets: found, filtered and ordered at once, readable on a telephone, soon there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.dashboard.browser import Open, opened, wait_until
from regime_pipeline_tests.dashboard.factories import ALFA, CHARLIE, QUARTERS, make_rows, site_rows, write
from regime_pipeline_tests.dashboard.test_budgets import BUDGET

pytestmark = pytest.mark.slow

TIMEFRAMES = ("15m", "1h", "4h")
SYMBOLS = 100


@pytest.fixture(scope="module")
def markets() -> list[MarketRows]:
    keys = [Market(f"S{number:03d}-USDT", frame) for number in range(SYMBOLS) for frame in TIMEFRAMES]
    return [make_rows(168, market, seed=place, has_advice=place == 0) for place, market in enumerate(keys)]


@pytest.fixture(scope="module")
def large(markets: list[MarketRows], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("large") / "site"
    write(markets, folder)
    return f"{folder.as_uri()}/index.html"


def shown(page: Page) -> list[str]:
    return list(
        page.evaluate("[...document.querySelectorAll('.markets tbody tr:not([hidden])')].map(r => r.dataset.key)")
    )


def newest(rows: MarketRows, name: str) -> float:
    return float(rows.hours[name][-1])


def test_search_and_filters_leave_what_they_say_and_the_address_keeps_them(
    visit: Open, large: str, markets: list[MarketRows]
) -> None:
    page = visit(large)
    assert len(shown(page)) == 300

    page.fill("[name=q]", "s04")
    assert sorted(shown(page)) == sorted(r.market.key for r in markets if r.market.symbol.startswith("S04"))
    page.select_option("[name=timeframe]", "1h")
    assert len(shown(page)) == 10
    page.fill("[name=q]", "")
    page.select_option("[name=verdict]", "RANGE_OK")
    wanted = {
        r.market.key
        for r in markets
        if r.market.timeframe == "1h" and VERDICTS[int(newest(r, "verdict"))] == "RANGE_OK"
    }
    assert set(shown(page)) == wanted
    assert page.locator("output").inner_text() == f"{len(wanted)} of 300"
    assert page.url.endswith("#verdict=RANGE_OK&timeframe=1h")
    assert set(shown(visit(page.url))) == wanted
    page.click("button[type=reset]")
    wait_until(page, "!location.hash")
    assert len(shown(page)) == 300
    page.select_option("[name=only]", "grid")
    assert shown(page) == [markets[0].market.key]
    page.fill("[name=q]", "nothing of this name")
    assert page.get_by_text("No market matches.").is_visible()


def test_best_ranges_are_ordered_by_verdict_and_quality(visit: Open, large: str, markets: list[MarketRows]) -> None:
    page = visit(f"{large}#sort=quality")
    places = {"RANGE_OK": 0, "RANGE_WEAK": 1}

    def key(rows: MarketRows) -> tuple[int, float]:
        return places.get(VERDICTS[int(newest(rows, "verdict"))], 2), -float(
            f"{newest(rows, 'range_quality_score'):.4g}"
        )

    by_key = {rows.market.key: rows for rows in markets}
    ordered = [key(by_key[name]) for name in shown(page)]
    assert ordered == sorted(ordered)
    page.select_option("[name=sort]", "symbol")
    assert [name.partition("_")[0] for name in shown(page)] == sorted(r.market.symbol for r in markets)


def test_the_heat_map_has_every_symbol_and_timeframe_and_leads_there(
    visit: Open, large: str, markets: list[MarketRows]
) -> None:
    page = visit(large)
    page.click(".heat summary")
    cells = page.evaluate("[...document.querySelectorAll('.heat a')].map(c => [c.dataset.key, c.className])")

    assert dict(cells) == {rows.market.key: VERDICTS[int(newest(rows, "verdict"))] for rows in markets}
    page.fill("[name=q]", "S001")
    assert page.locator(".heat a:not(.dim)").count() == 3
    page.click(".heat a >> nth=4")
    page.wait_for_url("**/S001-USDT_1h.html")


def test_every_row_is_one_line_and_a_telephone_scrolls_one_way(chromium: Browser, large: str) -> None:
    with opened(chromium, viewport={"width": 1440, "height": 900}) as visit:
        tall = visit(large).evaluate("[...document.querySelectorAll('.markets tbody tr')].map(r => r.offsetHeight)")
    with opened(chromium, viewport={"width": 390, "height": 844}) as visit:
        page = visit(large)
        width = page.evaluate("document.documentElement.scrollWidth")
        cards = page.evaluate("[...document.querySelectorAll('.markets tbody tr')].map(r => r.offsetHeight)")

    assert max(tall) <= 40
    assert width == 390
    assert max(cards) <= 190


@pytest.mark.parametrize("width", [721, 860, 1000, 1001, 1180])
def test_no_width_between_a_telephone_and_a_desk_scrolls_sideways(chromium: Browser, large: str, width: int) -> None:
    with opened(chromium, viewport={"width": width, "height": 900}) as visit:
        page = visit(large)
        needed = page.evaluate("[document.documentElement, document.querySelector('.rows')].map(e => e.scrollWidth)")
        had = page.evaluate("[document.documentElement, document.querySelector('.rows')].map(e => e.clientWidth)")

    assert needed == had


def test_the_overview_of_300_markets_is_soon_there(
    chromium: Browser, large: str, record_property: Callable[[str, object], None]
) -> None:
    took = []
    for _ in range(3):
        with opened(chromium) as visit:
            page = visit(large)
            wait_until(page, "performance.getEntriesByName('overview-ready').length")
            took.append(float(page.evaluate("performance.getEntriesByName('overview-ready')[0].startTime")))

    record_property("overview_ready_ms", sorted(took)[1])
    print(f"overview of 300 ready after {sorted(took)[1]:.0f} ms; the goal is {BUDGET['overview_ms']} ms")
    assert min(took) <= BUDGET["ready_limit_ms"]


@pytest.fixture
def living(tmp_path: Path) -> Path:
    write(site_rows(), tmp_path)
    return tmp_path


def test_a_page_left_open_takes_up_new_hours_and_one_in_use_offers_them(visit: Open, living: Path) -> None:
    pages = {
        name: visit("about:blank")
        for name in ("index.html", f"{CHARLIE.key}.html", f"{CHARLIE.key}.html#at=2026-09-03T00:00")
    }
    for name, page in pages.items():
        page.clock.install(time="2026-09-11T00:10:00Z")
        page.goto(f"{living.as_uri()}/{name}")
    write([*site_rows()[:3], make_rows(241, CHARLIE, seed=4, end_verdict="RANGE_OK")], living)

    for name, page in pages.items():
        page.clock.run_for(61_000)
        if "#" in name:
            page.get_by_text("New hours are there: show them").click()
        stamp = page.locator(f"{'tr[data-key=' + CHARLIE.key + ']' if name == 'index.html' else '.summary'} .age")
        wait_until(page, "document.querySelector('.age[data-ms=\"1789088400000\"]')")
        assert stamp.get_attribute("data-ms") == "1789088400000"  # 2026-09-11 01:00


def test_the_way_to_another_market_is_typed(visit: Open, living: Path) -> None:
    page = visit(f"{living.as_uri()}/{QUARTERS.key}.html")
    page.locator("#goto").focus()
    wait_until(page, "document.querySelectorAll('#markets option, #markets *').length === 4")

    page.keyboard.type("charlie")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/{CHARLIE.key}.html")


def test_the_symbols_timeframes_stand_side_by_side_with_their_verdicts(visit: Open, living: Path) -> None:
    page = visit(f"{living.as_uri()}/{ALFA.key}.html")
    wait_until(page, "document.querySelectorAll('.now')[1].textContent")

    assert page.locator(".tabs .unseen").all_inner_texts() == [
        VERDICTS[int(newest(rows, "verdict"))].replace("_", " ").capitalize() for rows in site_rows()[:2]
    ]


def test_data_that_ends_on_purpose_is_not_stale(visit: Open, tmp_path: Path) -> None:
    write([replace(make_rows(48), end_note="the end of the project")], tmp_path)
    for name in ("index.html", f"{ALFA.key}.html"):
        age = visit(f"{tmp_path.as_uri()}/{name}").locator(".age")

        assert " ".join(age.inner_text().split()) == "2026-09-03 00:00 the end of the project"
        assert age.get_attribute("class") == "age"
