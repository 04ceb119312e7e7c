"""Spans of time and the completeness of hours: merging, clipping, covering."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import (
    COMPLETE,
    EXCHANGE_GAP,
    MISSING,
    absent_bars,
    clip_spans,
    confirmed_spans,
    hour_statuses,
    is_covered,
    merge_spans,
    runs_of,
)
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.window import Window

DAY = 1_581_206_400_000  # 2020-02-09T00:00:00Z
TIMEFRAMES = ("1m", "15m", "1h", "4h", "1d")
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6)


def make_candles(market: Market, times: np.ndarray) -> Candles:
    prices = np.full(len(times), 100.0)
    return Candles.from_prices(market, 100, times, [prices] * 4, np.ones(len(times)))


@given(spans)
def test_merged_spans_hold_the_same_moments_ascending_and_disjoint(some: list[tuple[int, int]]) -> None:
    merged = merge_spans(some)
    assert {x for a, b in merged for x in range(a, b)} == {x for a, b in some for x in range(a, b)}
    assert all(first[1] < second[0] for first, second in pairwise(merged))


@given(spans, st.integers(0, 60), st.integers(0, 60))
def test_clipped_spans_are_the_intersection(some: list[tuple[int, int]], start: int, end: int) -> None:
    clipped = clip_spans(merge_spans(some), start, end)
    expected = {x for a, b in some for x in range(a, b)} & set(range(start, end))
    assert {x for a, b in clipped for x in range(a, b)} == expected


@given(spans)
def test_covered_is_membership_of_the_half_open_spans(some: list[tuple[int, int]]) -> None:
    moments = np.arange(-1, 62, dtype=np.int64)
    expected = [any(a <= m < b for a, b in some) for m in moments.tolist()]
    assert is_covered(moments, merge_spans(some)).tolist() == expected


@given(st.lists(st.booleans(), max_size=30))
def test_runs_hold_exactly_the_chosen_bars(chosen: list[bool]) -> None:
    times = np.arange(len(chosen), dtype=np.int64) * 5
    runs = runs_of(times, np.array(chosen, dtype=np.bool_), 5)
    assert is_covered(times, runs).tolist() == chosen
    assert runs == merge_spans(runs)


def test_an_hour_is_complete_confirmed_or_missing() -> None:
    market = Market("BTC-USDT", "1m")
    window = Window(DAY, DAY + 4 * HOUR_MS)
    times = np.arange(DAY, DAY + 4 * HOUR_MS, MINUTE_MS)
    kept = times[(times < DAY + HOUR_MS) | (times >= DAY + HOUR_MS + 10 * MINUTE_MS)]
    kept = kept[kept < DAY + 3 * HOUR_MS - MINUTE_MS]
    rows = hour_statuses(market, window, make_candles(market, kept), ((DAY, DAY + 2 * HOUR_MS),))
    assert rows["hour_start"].tolist() == window.hours.tolist()
    assert rows["expected"].tolist() == [60, 60, 60, 60]
    assert rows["present"].tolist() == [60, 50, 59, 0]
    assert rows["status"].tolist() == [COMPLETE, EXCHANGE_GAP, MISSING, MISSING]
    assert [rows[name].dtype.name for name in ("hour_start", "expected", "present", "status")] == [
        "int64",
        "int32",
        "int32",
        "int8",
    ]


def test_an_hour_with_an_unconfirmed_absence_beside_a_confirmed_one_is_missing() -> None:
    market = Market("BTC-USDT", "15m")
    candles = make_candles(market, np.array([DAY, DAY + 15 * MINUTE_MS]))
    half = ((DAY, DAY + 45 * MINUTE_MS),)
    assert hour_statuses(market, Window.hour(DAY), candles, half)["status"].tolist() == [MISSING]
    assert hour_statuses(market, Window.hour(DAY), candles, ((DAY, DAY + HOUR_MS),))["status"].tolist() == [
        EXCHANGE_GAP
    ]


def test_above_one_hour_an_hour_in_which_nothing_closes_expects_nothing() -> None:
    market = Market("BTC-USDT", "4h")
    rows = hour_statuses(market, Window(DAY, DAY + 8 * HOUR_MS), make_candles(market, np.array([DAY])), ())
    assert rows["expected"].tolist() == [0, 0, 0, 1, 0, 0, 0, 1]
    assert rows["present"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert rows["status"].tolist() == [COMPLETE] * 7 + [MISSING]


def test_an_empty_window_has_no_hours() -> None:
    market = Market("BTC-USDT", "1h")
    rows = hour_statuses(market, Window(DAY, DAY), Candles.empty(market, 100), ())
    assert {name: len(column) for name, column in rows.items()} == dict.fromkeys(rows, 0)


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@given(data=st.data())
def test_stored_hours_confirm_what_the_source_confirmed(timeframe: str, data: st.DataObject) -> None:
    market = Market("BTC-USDT", timeframe)
    window = Window(DAY, DAY + 48 * HOUR_MS)
    step_hours = market.observation_ms // HOUR_MS
    covered = merge_spans(
        (DAY + a * step_hours * HOUR_MS, DAY + b * step_hours * HOUR_MS)
        for a, b in data.draw(st.lists(st.tuples(st.integers(0, 48), st.integers(0, 48)), max_size=4))
    )
    times, _ = absent_bars(market, DAY, window.end_ms - market.step_ms + 1, Candles.empty(market, 100))
    present = np.random.default_rng(data.draw(st.integers(0, 10_000))).random(len(times)) < 0.7
    candles = make_candles(market, times[present & is_covered(times, covered)])
    rows = hour_statuses(market, window, candles, covered)
    again = hour_statuses(market, window, candles, confirmed_spans(market, rows["hour_start"], rows["status"]))
    assert again["status"].tolist() == rows["status"].tolist()
    expected = is_covered(times, covered)
    assert is_covered(times, confirmed_spans(market, rows["hour_start"], rows["status"])).tolist() == expected.tolist()
