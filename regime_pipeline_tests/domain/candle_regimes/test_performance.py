"""Tests of `domain.performance`: the bar after a regime is judged, gaps are not, and nothing looks back."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes
from regime_pipeline.domain.candle_regimes.periods import performance
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES, SIMPLIFIED
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market

RANGE = next(s.state for s in REGIME_STATES if s.simplified_regime == "RANGE")
TREND = next(s.state for s in REGIME_STATES if s.simplified_regime == "TREND_UP")


def market(hours: list[int], closes: list[int]) -> Candles:
    times = np.array(hours, dtype=np.int64) * HOUR_MS
    prices = np.array(closes, dtype=np.int64)
    return Candles(Market("A-USDT", "1h"), 1, times, prices, prices, prices, prices, np.ones(len(prices)))


def regimes(candles: Candles, states: list[int]) -> CandleRegimes:
    return CandleRegimes(candles.open_time_ms, np.array(states, dtype=np.int16), np.zeros(len(states)))


def test_each_bar_is_judged_by_the_next_and_gaps_are_left_out() -> None:
    candles = market([0, 1, 2, 4, 5], [100, 110, 99, 200, 210])

    found = performance(regimes(candles, [RANGE, RANGE, RANGE, TREND, TREND]), candles)

    of_range, of_trend = SIMPLIFIED.index("RANGE"), SIMPLIFIED.index("TREND_UP")
    returns = np.log([110 / 100, 99 / 110])
    assert found.bars[[of_range, of_trend]].tolist() == [2, 1]  # the bar before the gap and the last one count nowhere
    assert found.mean_return_bps[of_range] == pytest.approx(returns.mean() * 1e4)
    assert found.volatility_bps[of_range] == pytest.approx(returns.std(ddof=1) * 1e4)
    assert np.isnan(found.volatility_bps[of_trend])
    assert found.share_up[[of_range, of_trend]].tolist() == [0.5, 1.0]
    assert found.total_return_pct[of_range] == pytest.approx(-1.0)
    assert np.isnan(found.mean_return_bps[SIMPLIFIED.index("CHOPPY")])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_bars_have_no_performance(count: int) -> None:
    candles = market(list(range(count)), [100] * count)
    assert performance(regimes(candles, [RANGE] * count), candles).bars.tolist() == [0] * 6
