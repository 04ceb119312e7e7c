"""Tests of `domain.analysis`: the three stages in one call, from any history that reaches far enough."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.verdicts.engine import analyze, observed_hours, reach_hours
from regime_pipeline_tests.domain.verdicts.factories import (
    HOURLY,
    NULLS,
    POLICY,
    assert_same,
    hours_of,
    run,
    take,
    walk,
)


@pytest.mark.parametrize(("timeframe", "bars"), [("15m", 4_200), ("1h", 1_200), ("4h", 1_100)])
def test_the_reach_is_enough_and_gives_the_rows_of_the_whole(timeframe: str, bars: int) -> None:
    market = Market("TEST-USDT", timeframe)
    candles = walk(bars, 4, market)
    hours = hours_of(candles)
    wanted = hours[-3:]
    first = int(wanted[0]) - reach_hours(market, POLICY) * HOUR_MS

    found = analyze(candles.between(first, 2**62), wanted, POLICY, NULLS)

    whole = run(candles, hours)
    last = slice(len(hours) - 3, len(hours))
    for rows, expected in zip(found, whole, strict=True):
        assert_same(rows, take(expected, last))
    assert first > candles.open_time_ms[0]


def test_an_hour_without_any_candle_is_insufficient_data() -> None:
    hours = np.array([0, HOUR_MS], dtype=np.int64)

    found = analyze(Candles.empty(HOURLY, 100), hours, POLICY, NULLS)

    assert found.verdicts["verdict"].tolist() == [0, 0]
    assert found.features["hour_start"].tolist() == hours.tolist()


def test_no_hours_give_no_rows() -> None:
    none = observed_hours(Candles.empty(HOURLY, 100))

    assert [len(rows["hour_start"]) for rows in analyze(walk(10), none, POLICY, NULLS)] == [0, 0, 0]


def test_hours_before_the_first_candle_are_insufficient_data() -> None:
    candles = walk(20)
    hours = candles.open_time_ms[0] - HOUR_MS * np.array([2, 1], dtype=np.int64)

    assert analyze(candles, hours, POLICY, NULLS).verdicts["verdict"].tolist() == [0, 0]
