"""Tests of `services.backtest.hours`: one row per hour, the bar after it, nothing beyond the span."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.services.backtest.classes import ABSTAIN
from regime_pipeline.services.backtest.hindsight import HindsightRule
from regime_pipeline.services.backtest.hours import BacktestHours, closing_hours, market_hours, no_hours
from regime_pipeline.services.backtest.readers import FoundVerdicts
from regime_pipeline_tests.factories import hours_from_start
from regime_pipeline_tests.services.backtest.factories import ALFA, candles_of

WINDOW = hours_from_start(0, 60)
RULE = HindsightRule(bars=5)


def rows_of(market: Market, hours: np.ndarray, candles: Candles) -> BacktestHours:
    count = len(hours)
    found = FoundVerdicts(
        hour_start=hours,
        verdict=(np.arange(count) % 5).astype(np.int8),
        direction=np.zeros(count, dtype=np.int8),
        confidence=np.linspace(0.0, 1.0, count),
        policies=("p",),
        candles=candles,
    )
    return market_hours(market, WINDOW, found, None, RULE)


@settings(max_examples=30)
@given(st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)))
def test_close_and_bar_after_are_those_of_the_candles(lacking: set[int], bare: set[int]) -> None:
    candles = candles_of(ALFA, WINDOW)
    candles = candles[~np.isin((candles.open_time_ms - WINDOW.start_ms) // HOUR_MS, list(bare))]
    hours = WINDOW.hours[~np.isin(np.arange(60), list(lacking))]
    closes = dict(zip(candles.close_time_ms.tolist(), candles.prices("close").tolist(), strict=True))

    rows = rows_of(ALFA, hours, candles)

    assert (len(rows), rows.asked) == (60 - len(lacking), 60)
    for at, hour in enumerate(hours.tolist()):
        close, after = closes.get(hour + HOUR_MS), closes.get(hour + 2 * HOUR_MS)
        assert rows.close[at] == close or (close is None and math.isnan(rows.close[at]))
        if close is None or after is None:
            assert math.isnan(rows.next_return_bps[at])
        else:
            assert rows.next_return_bps[at] == pytest.approx(10_000 * math.log(after / close), abs=1e-6)
        assert rows.is_joined[at] == (at > 0 and hour - hours[at - 1] == HOUR_MS)


def test_what_lies_beyond_the_span_changes_nothing() -> None:
    inside = candles_of(ALFA, WINDOW)
    beyond = candles_of(ALFA, hours_from_start(0, 90))

    one, other = rows_of(ALFA, WINDOW.hours, inside), rows_of(ALFA, WINDOW.hours, beyond)

    assert np.array_equal(one.next_return_bps, other.next_return_bps, equal_nan=True)
    assert one.hindsight.tolist() == other.hindsight.tolist()
    assert math.isnan(one.next_return_bps[-1])


def test_a_return_never_reaches_back() -> None:
    """Other prices up to a moment, its own close kept, leave its bar after as it is."""
    candles = candles_of(ALFA, WINDOW)
    close = candles.close.copy()
    close[:30] = candles.low[:30]

    changed = rows_of(ALFA, WINDOW.hours, replace(candles, close=close))

    assert np.array_equal(changed.next_return_bps[30:-1], rows_of(ALFA, WINDOW.hours, candles).next_return_bps[30:-1])
    assert not np.array_equal(changed.next_return_bps[:29], rows_of(ALFA, WINDOW.hours, candles).next_return_bps[:29])


@pytest.mark.parametrize(("timeframe", "asked"), [("15m", 60), ("1h", 60), ("4h", 15), ("1d", 2)])
def test_above_one_hour_only_hours_in_which_a_bar_closes(timeframe: str, asked: int) -> None:
    market = ALFA.on(timeframe)

    rows = rows_of(market, WINDOW.hours, candles_of(market, WINDOW))

    assert len(rows) == rows.asked == len(closing_hours(market, WINDOW)) == asked
    assert not np.isnan(rows.close).any()
    assert rows.is_joined.tolist() == [False] + [True] * (asked - 1)


def test_a_market_without_rows_has_missed_every_hour() -> None:
    rows = no_hours(ALFA, WINDOW)

    assert (len(rows), rows.asked, rows.is_joined.tolist()) == (0, 60, [])


def test_without_truth_every_hour_abstains() -> None:
    rows = rows_of(ALFA, WINDOW.hours, candles_of(ALFA, WINDOW))

    assert set(rows.truth.tolist()) == {ABSTAIN}
    assert set(rows.hindsight[-5:].tolist()) == {ABSTAIN}
