"""The backtest report in a browser: the dashboard's charts of a market's rows, for everybody; nothing is asked for."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

from regime_pipeline.dashboard.report.page import to_html
from regime_pipeline.dashboard.report.tables import INKS
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.runner import Backtest
from regime_pipeline_tests.dashboard.browser import Open, height, ink, is_close, lines, opened, pixels, wait_until
from regime_pipeline_tests.dashboard.test_settings import DARK, ground
from regime_pipeline_tests.factories import hours_from_start
from regime_pipeline_tests.services.backtest.factories import ALFA, BRAVO, GAP, JUDGED, judged, store_snapshots

pytestmark = pytest.mark.slow

ROW_PX, INSIDE_PX = 34, 30
"""Height of a ribbon's row, and where in it every state's block is drawn, below its name."""
FOUR_HOURS = hours_from_start(300, 520)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    """Two simulated markets, three hours of the second one missing."""
    folder = tmp_path_factory.mktemp("snapshots")
    store_snapshots(folder, ALFA)
    store_snapshots(folder, BRAVO, without=[GAP])
    return judged(folder, ["BRAVO-USDT", "ALFA-USDT"])


@pytest.fixture(scope="module")
def report(found: Backtest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(to_html(found))
    return path.as_uri()


@pytest.fixture
def page(visit: Open, report: str) -> Page:
    return shown(visit(report), "BRAVO-USDT")


@pytest.fixture
def hours(found: Backtest) -> BacktestHours:
    return found.hours[0]


@pytest.fixture
def plain(chromium: Browser, report: str) -> Iterator[Page]:
    with opened(chromium, java_script_enabled=False) as visit:
        yield visit(report)


def over_time(page: Page, symbol: str) -> Locator:
    return page.locator(f"[data-payload='over-at-{symbol}']")


def shown(page: Page, symbol: str) -> Page:
    """The page with a market's charts in view and drawn."""
    over_time(page, symbol).scroll_into_view_if_needed()
    wait_until(
        page, "symbol => document.querySelector(`[data-payload='over-at-${symbol}']`).dataset.ready === 'true'", symbol
    )
    return page


def across(hours: BacktestHours, part: float = 0.5) -> list[float]:
    """Place of each row in the plot, as a share of its width."""
    at = (hours.hour_start - JUDGED.start_ms) // HOUR_MS
    return [(hour + part) / len(JUDGED) for hour in at.tolist()]


def test_the_page_asks_for_nothing_but_itself(chromium: Browser, report: str) -> None:
    asked: list[str] = []
    with opened(chromium) as visit:
        page = visit("about:blank")
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report)
        for symbol in ("BRAVO-USDT", "ALFA-USDT"):
            shown(page, symbol)
        page.wait_for_load_state("networkidle")

    assert [url for url in asked if not url.startswith("data:")] == [report]


def test_charts_are_made_when_they_come_into_view_or_are_printed(visit: Open, report: str) -> None:
    page = visit(report)
    assert over_time(page, "ALFA-USDT").locator("canvas").count() == 0

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    for symbol in ("BRAVO-USDT", "ALFA-USDT"):
        drawn = over_time(page, symbol).locator("canvas")
        assert drawn.count() == 3
        assert (
            drawn.evaluate_all(
                "all => all.map((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean))"
            )
            == [True] * 3
        )


def test_the_ribbons_have_every_hours_verdict_and_labels(page: Page, hours: BacktestHours) -> None:
    last = len(hours) - 1  # the chosen hour is tinted
    for row, (codes, names) in enumerate(((hours.verdict, VERDICTS), (hours.truth, INKS), (hours.hindsight, INKS))):
        known = [at for at in range(last) if codes[at] >= 0]
        inks = {name: ink(page, name) for name in names}

        found = pixels(page, "ribbons", [(across(hours)[at], row * ROW_PX + INSIDE_PX) for at in known])

        told = [names[int(codes[at])] for at in known]
        assert [is_close(color, inks[name]) for name, color in zip(told, found, strict=True)] == [True] * len(known)


def test_a_missing_hour_has_no_verdict_no_confidence_and_no_price(page: Page, hours: BacktestHours) -> None:
    gap = [(hour - JUDGED.start_ms) / HOUR_MS for hour in GAP.hours.tolist()]
    places = [(at + part / 10) / len(JUDGED) for at in gap for part in range(3, 8)]

    found = pixels(page, "ribbons", [(place, INSIDE_PX) for place in places])

    assert not any(is_close(color, ink(page, name)) for color in found for name in VERDICTS)
    inside = places[5:-5]  # a line is some pixels wide
    assert lines(page, "price", inside) == lines(page, "confidence", inside) == [[]] * len(inside)


def test_price_and_confidence_stand_where_the_rows_say(page: Page, hours: BacktestHours) -> None:
    tall, known = height(page, "confidence"), np.flatnonzero(hours.verdict[:-1] > 0)
    levels = lines(page, "confidence", [across(hours)[at] for at in known])
    prices = lines(page, "price", [across(hours, 1.0)[at] for at in known])

    expected = [tall * (1 - hours.confidence[at] / 1.02) for at in known]
    assert all(any(abs(y - wanted) <= 2 for y in ys) for ys, wanted in zip(levels, expected, strict=True))
    middle = np.array([float(np.mean(ys)) if ys else np.nan for ys in prices])
    there = ~np.isnan(middle)
    slope, base = np.polyfit(hours.close[known][there], middle[there], 1)
    assert there.mean() > 0.9
    assert slope < 0
    far = np.abs(middle[there] - base - slope * hours.close[known][there])
    assert np.median(far) <= 3


def test_an_hour_is_described_by_pointer_click_and_keys(page: Page, hours: BacktestHours) -> None:
    root, at = over_time(page, "BRAVO-USDT"), 60
    box = root.locator("[data-chart='ribbons'] .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * across(hours)[at], box["y"] + 10)
    _assert_described(root, hours, at)
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(2, 2)
    _assert_described(root, hours, at)

    slider = root.locator("input[type='range']")
    assert slider.input_value() == str(at)
    slider.focus()
    page.keyboard.press("ArrowRight")

    _assert_described(root, hours, at + 1)
    assert " UTC, " in (slider.get_attribute("aria-valuetext") or "")
    page.keyboard.press("End")
    _assert_described(root, hours, len(hours) - 1)


def _assert_described(root: Locator, hours: BacktestHours, at: int) -> None:
    close = to_iso(int(hours.hour_start[at]) + HOUR_MS)[:16].replace("T", " ")
    root.locator("time", has_text=close).wait_for()
    terms, values = (root.locator(f"dl {tag}").all_text_contents() for tag in ("dt", "dd"))
    told = dict(zip(terms, values, strict=True))
    assert (
        VERDICTS[int(hours.verdict[at])].replace("_", " ").capitalize()
        in root.locator("[data-r='verdict']").inner_text()
    )
    assert told["Close"] == f"{hours.close[at]:,.2f}"
    assert told["Confidence"] == f"{hours.confidence[at]:.2f}"
    assert told["True label"] == ("Range", "Trend", "Volatile")[int(hours.truth[at])]
    assert ("Hindsight" in told) == (hours.hindsight[at] >= 0)


def test_a_missing_hour_says_so(page: Page) -> None:
    root = over_time(page, "BRAVO-USDT")
    root.locator("input[type='range']").fill(str((GAP.start_ms - JUDGED.start_ms) // HOUR_MS))

    assert root.locator("[data-r='verdict']").inner_text() == "There is no verdict of this hour."
    assert root.locator("dl dt").count() == 0


def test_period_and_hidden_states_belong_to_one_market(visit: Open, report: str) -> None:
    page = shown(shown(visit(report), "ALFA-USDT"), "BRAVO-USDT")
    one, other = over_time(page, "BRAVO-USDT"), over_time(page, "ALFA-USDT")

    one.locator("[data-days='1']").click()

    assert one.locator("[data-days='1']").get_attribute("aria-pressed") == "true"
    assert other.locator("[data-days='0']").get_attribute("aria-pressed") == "true"
    one.locator("[data-days='0']").click()
    before = pixels(page, "ribbons", [(at / 200, INSIDE_PX) for at in range(1, 198)])
    trend = ink(page, "TREND")
    assert any(is_close(color, trend) for color in before)
    one.locator("[data-column='verdict'][data-label='TREND']").uncheck()
    after = pixels(page, "ribbons", [(at / 200, INSIDE_PX) for at in range(1, 198)])
    assert not any(is_close(color, trend) for color in after)
    assert other.locator("[data-column='verdict'][data-label='TREND']").is_checked()


def test_theme_and_zone_are_chosen_and_every_time_follows(page: Page, hours: BacktestHours) -> None:
    times = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
    slider = over_time(page, "BRAVO-USDT").locator("input[type=range]")
    before, said = page.inner_text("body"), slider.get_attribute("aria-valuetext") or ""

    page.select_option("#zone", "Asia/Tokyo")
    page.select_option("#theme", "dark")

    def later(text: str) -> list[str]:
        return [f"{datetime.fromisoformat(found) + timedelta(hours=9):%Y-%m-%d %H:%M}" for found in times.findall(text)]

    assert times.findall(page.inner_text("body")) == later(before) != []
    assert (slider.get_attribute("aria-valuetext") or "").startswith(f"{later(said)[0]} UTC+9, ")
    assert "Times are those of Asia/Tokyo" in page.inner_text("footer")
    assert ground(page) == DARK
    page.reload()
    assert times.findall(page.inner_text(".lead >> nth=0")) == later(before)[:2], "remembered"


def test_without_scripts_every_table_and_every_small_picture_is_there(plain: Page, found: Backtest) -> None:
    assert plain.get_by_text("The charts over time need JavaScript; everything else does without.").first.is_visible()
    assert not plain.locator(".charts").first.is_visible()
    strips = plain.locator("#summary .strip")
    assert [strip.get_attribute("aria-label").partition(":")[0] for strip in strips.all()] == [  # type: ignore[union-attr]
        f"Verdicts of {len(JUDGED)} hours"
    ] * 2
    figures = plain.locator("#at-ALFA-USDT data")
    assert figures.count() > 150
    assert all(figures.nth(at).is_visible() for at in (0, 80, 150))
    dwell = plain.locator("#at-ALFA-USDT table", has=plain.locator("caption", has_text="How long verdicts last"))
    runs = found.markets["ALFA-USDT"].verdicts["TREND"].dwell.spells
    assert dwell.locator("tr", has_text="Trend").locator("td").nth(1).inner_text() == str(runs)


def test_bars_above_the_hour_have_their_verdict_all_along(chromium: Browser, tmp_path: Path) -> None:
    store_snapshots(tmp_path / "files", ALFA.on("4h"))
    found = judged(tmp_path / "files", ["ALFA-USDT"], timeframe="4h", window=FOUR_HOURS)
    (tmp_path / "report.html").write_bytes(to_html(found))
    (rows,) = found.hours
    with opened(chromium) as visit:
        page = shown(visit((tmp_path / "report.html").as_uri()), "ALFA-USDT")
        inks = {name: ink(page, name) for name in VERDICTS}
        ends = ((rows.hour_start + HOUR_MS - FOUR_HOURS.start_ms) // HOUR_MS).tolist()
        for back in (3.5, 0.5):
            known = [at for at, end in enumerate(ends[:-1]) if end - back > 0]
            places = [((ends[at] - back) / len(FOUR_HOURS), INSIDE_PX) for at in known]
            told = [VERDICTS[int(rows.verdict[at])] for at in known]
            colors = pixels(page, "ribbons", places)
            assert [is_close(color, inks[name]) for name, color in zip(told, colors, strict=True)] == [True] * len(told)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_a_telephone_scrolls_one_way_only(
    chromium: Browser, report: str, theme: str, width: int
) -> None:
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python is not installed (`make test` installs it)")
    axe = Path(spec.origin).with_name("axe.min.js").read_text("utf-8")
    with opened(chromium, viewport={"width": width, "height": 844}, color_scheme=theme) as visit:
        page = shown(shown(visit(report), "BRAVO-USDT"), "ALFA-USDT")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.evaluate(f"() => {{ {axe} }}")
        found = page.evaluate("axe.run({resultTypes: ['violations']})")  # of the rest one node each

    assert len(found["passes"]) > 10
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
