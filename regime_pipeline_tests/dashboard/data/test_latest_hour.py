"""Which markets need attention, what the newest hour says, and the formatting for it."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.dashboard import formatting
from regime_pipeline.dashboard.components.sparklines import strip, strip_of
from regime_pipeline.dashboard.data.grid_history import grid_spans, marked_events, shown_events
from regime_pipeline.dashboard.data.grid_now import GridNow
from regime_pipeline.dashboard.data.latest_hour import AdviceSummary, LatestHour, by_need, latest_hour_of
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.candle_regimes.states import COLORS
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.grids.schema import ADVICE_STATUSES
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.dashboard.factories import ABSENT, START, make_rows, site_rows

GRID = GridNow(90.0, 110.0, True, 3.0, 1.5, 0.8, 0.6, None)


def newest(
    verdict: str, quality: float = 50.0, *, act: bool = False, lags: bool = False, grid: GridNow | None = None
) -> LatestHour:
    base = latest_hour_of(make_rows(24), START + 24 * HOUR_MS)
    advice = AdviceSummary("STOP_PLACING" if act else "KEEP", act, True, "because")
    return replace(base, verdict=verdict, quality=quality, advice=advice, is_lagging=lags, grid=grid)


def test_attention_first_then_where_a_grid_can_be_started_whatever_the_order_before() -> None:
    ordered = [
        newest("RANGE_OK", 90.0, grid=replace(GRID, edge_pct=-19.0)),
        newest("RANGE_OK", act=True),
        newest("RANGE_OK", 99.0, lags=True),
        newest("RANGE_OK", 80.0),
        newest("RANGE_OK", 60.0, grid=replace(GRID, enabled=False, edge_pct=-2.0)),
        newest("RANGE_OK", 95.0, grid=GRID),
        newest("RANGE_WEAK", 40.0),
        newest("TREND", 90.0),
        newest("INSUFFICIENT_DATA", float("nan")),
    ]

    for shuffled in itertools.islice(itertools.permutations(ordered), 0, 362_880, 40_321):
        assert by_need(shuffled) == ordered
    assert [one.attention for one in ordered] == ["OUTSIDE", "ACT", "LATE", *[""] * 6]
    assert [one.is_startable for one in ordered] == [*[False] * 3, True, True, *[False] * 4]


def test_a_permitted_restart_needs_attention_and_advice_on_a_stopped_grid_does_not() -> None:
    found = latest_hour_of(make_rows(24, has_advice=True), START + 24 * HOUR_MS)
    assert found.gates is not None

    assert found.attention == ""
    assert replace(found, gates=replace(found.gates, state="PERMITTED")).attention == "RESTART"


def test_a_passed_gate_that_fails_is_at_risk_and_one_that_is_not_passed_waits() -> None:
    gates = latest_hour_of(make_rows(24, has_advice=True), START + 24 * HOUR_MS).gates
    assert gates is not None
    failing = {"gate": 1, "name": "ADX_DECAY", "is_met": False, "sentence": "ADX 30.0 is not below 20."}

    assert (gates.passed, gates.at_risk) == (1, 0)
    assert replace(gates, checks=[*gates.checks, failing]).at_risk == 1
    assert replace(gates, checks=[failing], passed=0).at_risk == 0


def test_the_grid_stands_beside_the_newest_close() -> None:
    rows = make_rows(24, has_advice=True)
    assert rows.advice is not None
    outside = (np.arange(24) >= 20) * ADVICE_STATUSES.index("OUTSIDE")
    given: dict[str, Any] = {"hold_24h": 0.75, "hold_72h": 0.5, "edge_distance_atr": -1.5}
    advice = rows.advice | {name: np.full(24, value) for name, value in given.items()} | {"status": outside}
    rows = replace(rows, advice=advice)
    close = float(rows.hours["close"][-1])

    found = latest_hour_of(rows, rows.through_ms).grid

    assert found is not None
    assert (found.lower, found.upper, found.enabled, found.is_outside) == (95.0, 105.0, False, False)
    assert found.edge_pct == 100 * min((close - 95) / 95, (105 - close) / 105)
    assert (found.edge_atr, found.hold_24h, found.hold_72h) == (1.5, 0.75, 0.5)
    assert found.outside_since_ms == START + 21 * HOUR_MS
    older = latest_hour_of(replace(rows, advice=advice | {"config_version": np.ones(24)}), rows.through_ms).grid
    assert older is not None
    assert (np.isnan(older.hold_24h), older.outside_since_ms) == (True, None)


def test_since_when_a_verdict_holds_and_what_a_day_changed() -> None:
    rows = make_rows(40)
    rows.hours["verdict"][:] = 2
    whole = latest_hour_of(rows, rows.through_ms).day
    rows.hours["verdict"][10:33] = 3
    rows.hours["verdict"][33:] = 1

    found = latest_hour_of(rows, rows.through_ms).day

    close = rows.hours["close"]
    assert (whole.since_ms, whole.is_longer) == (START + HOUR_MS, True)
    assert (found.since_ms, found.is_longer, found.verdict_before) == (START + 34 * HOUR_MS, False, VERDICTS[3])
    assert found.close_change == close[-1] / close[-25] - 1
    assert np.isnan(latest_hour_of(make_rows(24), START + 24 * HOUR_MS).day.close_change)


def test_data_that_ends_on_purpose_does_not_lag() -> None:
    rows = make_rows(24)

    found = latest_hour_of(replace(rows, end_note="the end of the project"), rows.through_ms + 9 * HOUR_MS)

    assert (found.is_lagging, found.end_note, found.attention) == (False, "the end of the project", "")


def test_data_lags_by_more_than_two_hours_behind_the_newest() -> None:
    rows = make_rows(24)

    assert [latest_hour_of(rows, rows.through_ms + late * HOUR_MS).is_lagging for late in (0, 2, 3)] == [
        False,
        False,
        True,
    ]


def test_the_newest_close_is_the_newest_there_is() -> None:
    rows = make_rows(24, without_bars=(22, 23))

    assert latest_hour_of(rows, rows.through_ms).close == rows.hours["close"][21]
    assert latest_hour_of(rows, rows.through_ms).hour_status == "missing"


def test_advice_of_an_older_hour_is_not_advice_for_now() -> None:
    rows = make_rows(24, has_advice=True)
    assert rows.advice is not None
    older = {name: column[:-1] for name, column in rows.advice.items()}

    found = latest_hour_of(replace(rows, advice=older), rows.through_ms)

    assert (found.advice, found.gates) == (None, None)


def test_events_are_listed_in_order_and_within_the_period() -> None:
    rows = make_rows(24, has_advice=True)

    events = shown_events(rows)

    assert [event.time_ms for event in events] == sorted(event.time_ms for event in events)
    assert {event.kind for event in events} == {"Grid", "Stop", "Gate", "Advice", "Verdict"}
    assert {event.kind for event in marked_events(rows)} == {"Grid", "Stop", "Gate", "Advice"}
    assert all(rows.start_ms <= event.time_ms <= rows.through_ms for event in events)
    spans = grid_spans(rows)
    assert [span["enabled"] for span in spans] == [True, False]
    assert spans[0]["to_ms"] == spans[1]["from_ms"]
    assert (spans[0]["lines"][0], spans[0]["lines"][-1]) == (95.0, 105.0)


def test_a_stop_shows_before_an_hour_has_closed_since_then() -> None:
    rows = make_rows(24, has_advice=True)
    (old,) = rows.stops
    newer = replace(old, stopped_at_ms=rows.through_ms + 1, who="bob", why="news")

    seen = latest_hour_of(rows, rows.through_ms).gates
    found = latest_hour_of(replace(rows, stops=(old, newer)), rows.through_ms).gates

    assert seen is not None
    assert (seen.stop, seen.state) == (old, "GATE_2")
    assert found is not None
    assert (found.state, found.passed, found.bars, found.stop) == ("GATE_1", 0, 0, newer)


def test_a_market_without_hours_is_refused() -> None:
    rows = make_rows(24)

    with pytest.raises(MissingDataError, match="ALFA-USDT_1h has no dashboard hours"):
        MarketRows({name: column[:0] for name, column in rows.hours.items()}, rows.verdicts, rows.bars)


def test_the_small_picture_breaks_where_there_is_no_price() -> None:
    rows = site_rows()[0]

    strip = strip_of(rows)

    assert strip.price_path.count("M") == 3  # the missing hours, and those without bars
    widths = [int(width) for path in strip.verdict_paths.values() for width in re.findall(r"h(\d+)v", path)]
    assert sum(widths) == 168 - len(ABSENT)
    assert strip.text.startswith("Verdicts of the last 168 hours: ")


@given(st.lists(st.one_of(st.just(float("nan")), st.floats(1.0, 1e6)), min_size=1, max_size=3_000))
def test_a_small_picture_of_a_long_span_keeps_ends_extremes_and_holes(closes: list[float]) -> None:
    close = np.array(closes)

    path = strip(close, np.full(len(close), np.nan), "").price_path

    places = [int(float(x)) for x in re.findall(r"[ML]([\d.]+)", path)]
    known = np.flatnonzero(~np.isnan(close))
    assert len(places) <= 720
    assert places == sorted(set(places))
    assert set(places) <= set(known.tolist())
    if len(known):
        assert {known[0], known[-1]} <= set(places)
        assert (close[places].min(), close[places].max()) == (np.nanmin(close), np.nanmax(close))
        begins = [int(float(x)) for x in re.findall(r"M([\d.]+)", path)]
        holes = np.isnan(close)
        is_cut = [bool(holes[one:other].any()) for one, other in pairwise(places)]
        assert begins == [places[0], *(place for place, cut in zip(places[1:], is_cut, strict=True) if cut)]


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.996, "> 99 %"), (1.0, "100 %"), (None, "\N{EN DASH}")],
)
def test_a_share_is_never_rounded_to_none_or_all(share: float | None, said: str) -> None:
    assert formatting.percent(share) == said


def test_a_share_with_decimals_is_never_rounded_to_none_or_all_either() -> None:
    assert [formatting.percent(share, 1) for share in (0.0, 0.0004, 0.416, 0.9996)] == [
        "0.0 %",
        "< 0.1 %",
        "41.6 %",
        "> 99.9 %",
    ]


def test_durations_and_prices_are_exact() -> None:
    assert [formatting.duration(hours) for hours in (0, 1.5, 26, 48, 0.25)] == [
        "0 h",
        "1 h 30 min",
        "1 d 2 h",
        "2 d",
        "15 min",
    ]
    assert [formatting.decimals_of(scale) for scale in (1, 100, 100_000_000)] == [0, 2, 8]
    assert formatting.number(0.00001234, 8) == "0.00001234"


def test_the_style_sheet_has_the_colours_of_the_regimes() -> None:
    style = (REPOSITORY / "regime_pipeline/dashboard/static/site.css").read_text("utf-8")

    assert {name: f"--{name}: {color};" in style for name, color in COLORS.items()} == dict.fromkeys(COLORS, True)


def test_vendored_files_are_the_ones_that_were_reviewed() -> None:
    vendor = REPOSITORY / "regime_pipeline/dashboard/static/vendor"
    table = (vendor / "README.md").read_text("utf-8")
    files = [path for path in sorted(vendor.iterdir()) if path.name != "README.md"]

    assert [path.name for path in files] == ["LICENSE", "uPlot.iife.min.js", "uPlot.min.css"]
    assert all(f"`{path.name}` | `{hashlib.sha256(path.read_bytes()).hexdigest()}`" in table for path in files)
