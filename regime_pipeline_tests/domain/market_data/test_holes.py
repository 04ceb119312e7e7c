"""Tests of `domain.market_data.holes` against the rules read one candle at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.holes import has_history, run_starts
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.policy import HolesPolicy

MARKET = Market("BTC-USDT", "1h")
HOLES = HolesPolicy(max_absent_share=0.2, longest_bars=3, newest_whole_bars=2, break_price_factor=2.0)


def candles_at(bars: list[int], closes: list[int]) -> Candles:
    times, prices = np.array(bars, dtype=np.int64) * MARKET.step_ms, np.array(closes, dtype=np.int64)
    return Candles(MARKET, 100, times, prices, prices, prices, prices, np.ones(len(bars)))


def slow_starts(bars: list[int], closes: list[int]) -> list[int]:
    """Walk back from each candle until a hole that is too long, or that hides a jump, is met."""
    starts = []
    for row in range(len(bars)):
        start = row
        while start > 0:
            absent = bars[start] - bars[start - 1] - 1
            low, high = sorted((closes[start - 1], closes[start]))
            if absent > HOLES.longest_bars or (absent > 0 and high > HOLES.break_price_factor * low):
                break
            start -= 1
        starts.append(start)
    return starts


def slow_history(bars: list[int], starts: list[int], row: int, window: int) -> bool:
    """Look at every place on the calendar that the window spans."""
    oldest = row - window + 1
    if oldest < starts[row]:
        return False
    absent = [bar for bar in range(bars[oldest], bars[row]) if bar not in bars]
    newest = min(HOLES.newest_whole_bars, window)
    is_newest_there = all(bars[row] - back in bars for back in range(newest))
    return is_newest_there and len(absent) <= HOLES.tolerated(window)


@pytest.mark.parametrize(
    ("bars", "closes", "starts"),
    [
        ([], [], []),
        ([7], [100], [0]),
        ([0, 4], [100, 100], [0, 0]),  # three bars absent
        ([0, 5], [100, 100], [0, 1]),  # four
        ([0, 2], [100, 200], [0, 0]),  # not more than the factor
        ([0, 2], [100, 201], [0, 1]),
        ([0, 2], [201, 100], [0, 1]),
        ([0, 1], [100, 900], [0, 0]),  # a jump without a hole is a market
        ([0, 5, 6, 8, 13], [100] * 5, [0, 1, 1, 1, 4]),
    ],
)
def test_history_begins_again_behind_long_holes_and_hidden_jumps(
    bars: list[int], closes: list[int], starts: list[int]
) -> None:
    assert run_starts(candles_at(bars, closes), HOLES).tolist() == starts


@given(st.data())
def test_every_row_is_judged_as_the_rules_say(data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3, 4, 5]), min_size=1, max_size=40))
    bars = np.cumsum(steps).tolist()
    closes = data.draw(st.lists(st.sampled_from([100, 150, 250]), min_size=len(bars), max_size=len(bars)))
    window = data.draw(st.integers(1, 12))

    starts = run_starts(candles_at(bars, closes), HOLES)
    found = has_history(np.array(bars), starts, window, HOLES)

    assert starts.tolist() == slow_starts(bars, closes)
    assert found.tolist() == [slow_history(bars, starts.tolist(), row, window) for row in range(len(bars))]


def test_the_share_is_counted_in_whole_bars_free_of_rounding() -> None:
    holes = HOLES.model_copy(update={"max_absent_share": 0.29})

    assert [holes.tolerated(bars) for bars in (0, 3, 4, 100)] == [0, 0, 1, 29]
