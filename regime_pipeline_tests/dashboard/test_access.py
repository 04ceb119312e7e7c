"""The site for everybody: without scripts, by tables, on a telephone, in both themes, for assistive technology."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from statistics import mean, median

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.dashboard.browser import Open, opened
from regime_pipeline_tests.dashboard.factories import ALFA, BRAVO, CHARLIE, QUARTERS, site_rows, write
from regime_pipeline_tests.dashboard.real_markets import simulated_rows

pytestmark = pytest.mark.slow

PAGES = ("index.html", f"{ALFA.key}.html")


@pytest.fixture(scope="module")
def rows() -> MarketRows:
    return site_rows()[0]


@pytest.fixture
def plain(chromium: Browser, site: Path) -> Iterator[Page]:
    """A market's page in a browser that runs no scripts."""
    with opened(chromium, java_script_enabled=False) as visit:
        yield visit(f"{site.as_uri()}/{ALFA.key}.html")


def cells(table: Locator) -> list[list[str]]:
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def table(page: Page, caption: str) -> Locator:
    return page.locator("table", has=page.locator("caption", has_text=caption))


def words(code: str) -> str:
    return code.replace("_", " ").capitalize()


def verdicts(rows: MarketRows) -> list[str | None]:
    return [None if np.isnan(code) else VERDICTS[int(code)] for code in rows.on_calendar("verdict")]


def test_every_page_opens_without_an_error(visit: Open, site: Path) -> None:
    """Markets below, at and above the hour, with and without a grid."""
    pages = sorted(site.glob("*.html"))
    assert len(pages) == 5
    for path in pages:
        page = visit(path.as_uri())
        assert page.locator("h1").inner_text() in ("Market regimes", path.name.partition("_")[0])
        blank = page.evaluate(
            "[...document.querySelectorAll('.plot canvas')].filter((c) =>"
            " !c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)).length"
        )
        assert blank == 0


def test_without_scripts_the_newest_hours_are_in_a_table(plain: Page, rows: MarketRows) -> None:
    found = cells(plain.get_by_role("region", name="Newest hours, newest first").locator("table"))

    assert len(found) == 24
    for place, cell in enumerate(found):
        hour = len(rows) - 1 - place
        assert cell[0] == to_iso(rows.start_ms + hour * HOUR_MS)[:16].replace("T", " ")
        assert words(verdicts(rows)[hour] or "") in cell[1]
        assert cell[2] == f"{rows.on_calendar('confidence')[hour]:.2f}"
        assert cell[3] == f"{rows.on_calendar('close')[hour]:.2f}"
        assert cell[6] == f"{rows.on_calendar('trend_score')[hour]:.1f}"
        decided = deciding(rows.documents("factors")[hour]).sentence
        assert cell[11] == decided


def test_without_scripts_no_chart_and_no_control_is_shown(plain: Page) -> None:
    assert plain.get_by_text("The charts need JavaScript; everything below does without.").is_visible()
    assert not plain.locator(".charts").is_visible()
    assert plain.locator(".age-text").first.inner_text() == ""  # nothing is known of the reader's clock
    assert plain.locator(".age time").first.inner_text() == "2026-09-11 00:00"


def test_the_matrix_counts_what_followed_what(plain: Page, rows: MarketRows) -> None:
    known = verdicts(rows)
    pairs = Counter((one, other) for one, other in pairwise(known) if one and other)
    states = [name for name in VERDICTS if name in known]

    found = cells(table(plain, "Verdict of the next hour"))

    assert [row[0] for row in found] == [words(name) for name in states]
    for name, row in zip(states, found, strict=True):
        total = sum(count for (before, _), count in pairs.items() if before == name)
        for after, cell in zip(states, row[1:], strict=True):
            count, share = cell.split(maxsplit=1)
            assert int(count) == pairs[name, after]
            assert share == f"{100 * pairs[name, after] / total:.0f} %" or share in ("< 1 %", "> 99 %")


def test_dwell_times_are_those_of_the_runs(plain: Page, rows: MarketRows) -> None:
    runs = [(name, len(list(run))) for name, run in groupby(verdicts(rows)) if name]
    total = sum(length for _, length in runs)

    found = {row[0]: row[1:] for row in cells(table(plain, "How long verdicts last"))}

    for name in {name for name, _ in runs}:
        lengths = [length for other, length in runs if other == name]
        share, count, middle, average, longest = found.pop(words(name))
        assert share == f"{100 * sum(lengths) / total:.0f} %"
        assert int(count) == len(lengths)
        assert (hours(middle), hours(longest)) == (median(lengths), max(lengths))
        assert abs(hours(average) - mean(lengths)) < 1 / 60
    assert found == {}


def hours(text: str) -> float:
    """Hours of `1 d 4 h 30 min`."""
    parts = text.split()
    each = {"d": 24.0, "h": 1.0, "min": 1 / 60}
    return sum(float(count) * each[unit] for count, unit in zip(parts[::2], parts[1::2], strict=True))


def test_grid_events_and_gates_are_in_tables(plain: Page, rows: MarketRows) -> None:
    found = cells(plain.get_by_role("region", name="Grid events, newest first").locator("table"))

    assert "Verdict" in {row[1] for row in found}
    found = [row for row in found if row[1] != "Verdict"]
    assert [row[1] for row in found] == ["Advice", "Gate", "Stop", "Grid", "Grid"]
    assert found[2][2] == "MANUAL (ann: news <b>& more</b>)"  # as text, never as markup
    assert "Version 2: 95 to 105, 5 levels, disabled (ann: calm)" in found[3][2]
    assert found[1][2] == "none \N{RIGHTWARDS ARROW} gate 2"
    assert plain.locator("#t-gates ~ ol.checks li").all_inner_texts() == ["Gate 1, met ADX 12.0 is below 20."]


def test_the_newest_hour_reads_the_same_with_and_without_scripts(
    chromium: Browser, visit: Open, tmp_path: Path
) -> None:
    markets = [*site_rows(), simulated_rows(Market("ALFA-USDT", "1m"), days=30)]
    write(markets, tmp_path)
    with opened(chromium, java_script_enabled=False) as plain:
        for address in (f"{tmp_path.as_uri()}/{rows.market.key}.html" for rows in markets):
            scripted, unscripted = visit(address), plain(address)
            for part in ("#r-time", "#r-verdict", "#r-facts", "#r-weights", "#r-factors"):
                assert scripted.locator(part).inner_text() == unscripted.locator(part).inner_text(), part


def test_holes_are_counted_beside_the_age_of_the_data(plain: Page) -> None:
    assert "98 % of the 240 hours are complete; 3 no row; 2 missing." in plain.locator(".summary").inner_text()


def test_the_overview_has_every_market_by_need(chromium: Browser, site: Path, rows: MarketRows) -> None:
    with opened(chromium, java_script_enabled=False) as visit:
        page = visit(f"{site.as_uri()}/index.html")
        found = [row.locator("th, td").all_inner_texts() for row in page.locator(".markets tbody tr").all()]
        confidence = page.locator(
            ".markets tbody .confidence"
        ).all_text_contents()  # beside the verdict where there is room
        lead = page.locator(".lead").inner_text()
        without_data = page.locator("main").inner_text()

    assert [row[0] for row in found] == [f"{m.symbol} {m.timeframe}" for m in (BRAVO, QUARTERS, CHARLIE, ALFA)]
    assert "4 markets. Needs attention: BRAVO-USDT_1h. A grid can be started: ALFA-USDT_15m." in lead
    alfa = found[3]
    assert words(verdicts(rows)[-1] or "") in alfa[2]
    assert f"{rows.on_calendar('confidence')[-1]:.2f}" == confidence[3]
    assert f"{rows.on_calendar('close')[-1]:.2f}" in alfa[4]
    assert "50 %" in alfa[5]
    assert alfa[6].startswith("2.8 %")
    assert "Gate 2" in alfa[8]
    assert "2026-09-11 00:00" in alfa[9]
    assert [row[1] for row in found] == ["Data is late", "Can start a grid", "no grid", "Enable"]
    assert "Stale: behind others" in found[0][9]
    assert "Nothing is materialized yet for DELTA-USDT_1h." in without_data


def test_the_age_of_the_data_turns_stale_by_the_readers_clock(visit: Open, site: Path) -> None:
    page = visit(f"{site.as_uri()}/index.html")
    ages = page.locator(f"tr[data-key={ALFA.key}] .age-text")
    for now, said in (("2026-09-11T00:12:30Z", "12 min old"), ("2026-09-11T02:00:30Z", "Stale: 2 h 0 min old")):
        page.clock.install(time=now)
        page.reload()

        assert ages.first.inner_text() == said

    page.clock.run_for(60_000 * 60 * 24 * 3)
    assert ages.first.inner_text() == "Stale: 3 d 2 h old"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_a_telephone_scrolls_one_way_only(chromium: Browser, site: Path, page: str, theme: str) -> None:
    with opened(chromium, viewport={"width": 390, "height": 844}, color_scheme=theme) as visit:
        shown = visit(f"{site.as_uri()}/{page}")
        width = shown.evaluate("document.documentElement.scrollWidth")
        low = shown.evaluate(
            "[...document.querySelectorAll('button:not(.term), select, nav a')]"
            ".map((e) => e.getBoundingClientRect().height)"
        )

    assert width == 390
    assert min(low, default=44) >= 44


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Browser, http: str, theme: str, width: int) -> None:
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed (`make test` installs it)")
    axe = Path(found.origin).with_name("axe.min.js").read_text("utf-8")
    with opened(chromium, viewport={"width": width, "height": 844}, color_scheme=theme) as visit:
        for name in PAGES:
            page = visit(http + name)
            page.evaluate(f"() => {{ {axe} }}")
            report = page.evaluate("axe.run({resultTypes: ['violations']})")  # of the rest one node each

            assert len(report["passes"]) > 10
            assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in report["violations"]] == []
