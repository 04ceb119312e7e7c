"""Each panel of a market's page shows what the rows say, pixel for pixel: opened as a folder and on a server."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.payload import SCORE_COLUMNS, simplified
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.dashboard.browser import Open, blend, height, ink, is_close, lines, link, pixels
from regime_pipeline_tests.dashboard.factories import ABSENT, BARLESS, site_rows

pytestmark = pytest.mark.slow

FIRST, END = 138, 210
HOURS = list(range(FIRST, END - 1))
"""Three days with both holes; the last hour is the chosen one, and tinted."""
ROW_PX, INSIDE_PX = 34, 30
"""Height of a ribbon's row, and where in it every state's block is drawn, below its name."""
SHOWN = ("trend_score", "vol_change_score", "mean_rev_score", "range_quality_score", "grid_capacity_score")
MIDDLE = {"UNDEFINED": 0.52, "TREND_UP": 0.4, "TREND_DOWN": 0.75, "RANGE": 0.7, "CHOPPY": 0.97, "NEUTRAL": 0.52}
"""Where in its row each 3D regime is drawn, beside its name."""


@pytest.fixture(scope="module")
def rows() -> MarketRows:
    return site_rows()[0]


@pytest.fixture
def page(visit: Open, address: str, rows: MarketRows) -> Page:
    return visit(address + link(rows, FIRST, END, END - 1))


def across(hour: int, part: float = 0.5) -> float:
    """Place of an hour in the plot, as a share of its width."""
    return (hour - FIRST + part) / (END - FIRST)


def test_the_ribbon_has_every_hours_verdict_and_regime(page: Page, rows: MarketRows) -> None:
    verdict, regime = rows.on_calendar("verdict"), simplified(rows.on_calendar("candle_state"))
    known = [hour for hour in HOURS if hour not in ABSENT]

    below = pixels(page, "ribbons", [(across(hour), INSIDE_PX) for hour in known])
    names = [SIMPLIFIED[int(regime[hour])] for hour in known]
    beside = [(across(hour, 0.9), ROW_PX + 3 + 28 * MIDDLE[name]) for hour, name in zip(known, names, strict=True)]

    assert [is_close(color, ink(page, VERDICTS[int(verdict[h])])) for h, color in zip(known, below, strict=True)] == [
        True
    ] * len(known)
    assert [
        is_close(color, ink(page, name)) for name, color in zip(names, pixels(page, "ribbons", beside), strict=True)
    ] == [True] * len(known)


def test_a_missing_hour_has_no_verdict(page: Page) -> None:
    found = pixels(page, "ribbons", [(across(hour, part / 20), INSIDE_PX) for hour in ABSENT for part in range(1, 20)])

    verdicts = [ink(page, name) for name in VERDICTS]
    assert not any(is_close(color, verdict) for color in found for verdict in verdicts)


def test_the_heat_map_has_every_score(page: Page, rows: MarketRows) -> None:
    assert set(SHOWN) == set(SCORE_COLUMNS)
    surface, row_px = ink(page, "surface"), height(page, "scores") / len(SHOWN)
    for place, name in enumerate(SHOWN):
        scores = rows.on_calendar(name)
        known = [hour for hour in HOURS if not np.isnan(scores[hour])]
        color = ink(page, "bad" if place < 2 else "good")

        found = pixels(page, "scores", [(across(hour), (place + 0.5) * row_px) for hour in known])

        said = [blend(color, surface, 0.06 + 0.94 * (round(scores[hour], 1) / 100) ** 1.5) for hour in known]
        assert [hour for hour, one, other in zip(known, found, said, strict=True) if not is_close(one, other)] == []


def test_the_confidence_stands_where_the_rows_say(page: Page, rows: MarketRows) -> None:
    confidence, tall = rows.on_calendar("confidence"), height(page, "confidence")

    found = dict(zip(HOURS, lines(page, "confidence", [across(hour) for hour in HOURS]), strict=True))

    assert [found.pop(hour) for hour in ABSENT] == [[], [], []]
    expected = {hour: tall * (1 - confidence[hour] / 1.02) for hour in found}
    far = {hour: ys for hour, ys in found.items() if not any(abs(y - expected[hour]) <= 2 for y in ys)}
    assert far == {}


def test_the_price_goes_through_every_close_and_through_no_hole(page: Page, rows: MarketRows) -> None:
    bars = rows.bars
    closes = dict(zip(((bars.close_time_ms - rows.start_ms) // HOUR_MS).tolist(), bars.close.tolist(), strict=True))
    inside = [hour for hour in range(FIRST + 1, END - 2) if {hour - 1, hour, hour + 1} <= closes.keys()]

    found = dict(zip(inside, lines(page, "price", [across(hour, 0) for hour in inside]), strict=True))
    holes = [across(gap[0], len(gap) * part / 10) for gap in (ABSENT, BARLESS) for part in range(1, 10)]

    slope, base = _scale(closes, {hour: float(np.mean(ys)) for hour, ys in found.items() if ys})
    far = {hour: ys for hour, ys in found.items() if not any(abs(y - base - slope * closes[hour]) <= 3 for y in ys)}
    assert far == {}
    assert lines(page, "price", holes) == [[]] * len(holes)
    _check_band(page, rows, slope, base)
    _check_grid(page, rows, slope, base)


def _check_band(page: Page, rows: MarketRows, slope: float, base: float) -> None:
    """The discovered range has its edges where the rows say, on the price's own scale."""
    surface = ink(page, "surface")
    for hour in (HOURS[3], HOURS[30], HOURS[60]):
        for edge in ("range_low", "range_high"):
            expected = base + slope * rows.on_calendar(edge)[hour] * rows.bars.price_scale
            around = pixels(page, "price", [(across(hour), expected + step / 2) for step in range(-5, 6)])
            assert any(color and color[2] - color[0] > 60 for color in around), (hour, edge)
        middle = base + slope * rows.on_calendar("range_high")[hour] * rows.bars.price_scale + 12
        (fill,) = pixels(page, "price", [(across(hour, 0.3), middle)])
        assert is_close(fill, blend(ink(page, "range-fill"), surface, 0x1C / 255), 12), hour


def _check_grid(page: Page, rows: MarketRows, slope: float, base: float) -> None:
    """Each line of the grid that is in view stands at its price, dashed because this version is disabled."""
    green, tall = ink(page, "grid-line"), height(page, "price")
    edges = (rows.grids[-1].lines[0], rows.grids[-1].lines[-1])
    ys = [base + slope * float(line) * rows.bars.price_scale for line in edges]
    inside = [y for y in ys if 2 < y < tall - 2]
    assert inside
    shares = np.arange(0.02, 0.08, 0.002).tolist()
    for y in inside:
        rows_of_pixels = [pixels(page, "price", [(share, y + step) for share in shares]) for step in (-1, 0, 1)]
        drawn = {any(is_close(color, green, 60) for color in column) for column in zip(*rows_of_pixels, strict=True)}
        assert drawn == {True, False}


def test_the_gates_have_a_ribbon_of_their_own(visit: Open, address: str, rows: MarketRows) -> None:
    page = visit(address + link(rows, 100, 140, 139))
    codes = rows.advice_on_calendar("gate_state")
    hours = [104, 110, 117, 122, 130, 136]

    found = pixels(page, "ribbons", [((hour - 100 + 0.5) / 40, 2 * ROW_PX + INSIDE_PX) for hour in hours])

    names = [GATE_STATES[int(codes[hour])] for hour in hours]
    assert set(names) == {"NONE", "GATE_2"}
    assert [is_close(color, ink(page, name)) for name, color in zip(names, found, strict=True)] == [True] * len(hours)


def _scale(closes: dict[int, int], ys: dict[int, float]) -> tuple[float, float]:
    """Pixels a tick and offset of the price's scale, as the drawn line itself tells."""
    slope, base = np.polyfit([closes[hour] for hour in ys], list(ys.values()), 1)
    return float(slope), float(base)
