"""Tests of `domain.indicators` against TA-Lib, which nobody here wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import talib

from regime_pipeline.domain.candle_regimes.indicators import compute_indicators
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline_tests.domain.candle_regimes.factories import MARKET, POLICY, from_closes, walk, without

TOLERANCE = 1e-9
SETTLED = 900
"""Bars after which an anchored value must equal TA-Lib's, which remembers the whole series."""


def assert_equals_talib(candles: Candles, settled: int, behind_holes: int = 0) -> None:
    """Compare every indicator; `behind_holes` candles behind a hole have no slow average, whose window is not whole."""
    high, low, close = (column.astype(np.float64) for column in (candles.high, candles.low, candles.close))
    upper, middle, lower = talib.BBANDS(close, POLICY.bollinger_bars, 2.0, 2.0)
    expected = {
        "adx": talib.ADX(high, low, close, 14),
        "atr": talib.ATR(high, low, close, 14),
        "rsi": talib.RSI(close, 14),
        "roc": talib.ROC(close, 12),
        "macd_histogram": talib.MACD(close, 12, 26, 9)[2],
        "sma_fast": talib.SMA(close, 50),
        "sma_slow": talib.SMA(close, 200),
        "band_width": (upper - lower) / middle,
    }
    found = compute_indicators(candles, POLICY)
    for name, theirs in expected.items():
        ours = getattr(found, name)
        is_blind = np.isnan(ours) & ~np.isnan(theirs)
        holes = int(np.sum(np.diff(candles.open_time_ms) != MARKET.step_ms))
        assert is_blind.sum() == (behind_holes * holes if name == "sma_slow" else 0), name
        assert not np.any(np.isnan(theirs) & ~np.isnan(ours)), name
        scale = np.maximum(np.abs(theirs), 1e-3 if name == "band_width" else 1.0)
        assert np.nanmax(np.abs(ours - theirs)[settled:] / scale[settled:], initial=0.0) < TOLERANCE, name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_walk_from_its_first_bar(seed: int) -> None:
    """The first anchor block starts where the series starts, as TA-Lib does."""
    assert_equals_talib(walk(256 - 438_000 % 256 + 200, seed), 0)


@pytest.mark.parametrize("seed", [4, 5])
def test_a_long_walk_across_many_anchors(seed: int) -> None:
    assert_equals_talib(walk(4000, seed), SETTLED)


def test_prices_of_few_ticks() -> None:
    steps = np.random.default_rng(6).integers(-3, 4, 2500)

    assert_equals_talib(from_closes(2000.0 + np.cumsum(steps), scale=1), SETTLED)


def test_real_hours(shared_data: Path) -> None:
    with gzip.open(shared_data / "freqtrade-format/binance-2017-2021__ETH_USDT-1h.json.gz") as stream:
        rows = np.array(json.load(stream)[-3000:], dtype=np.float64)
    times = rows[:, 0].astype(np.int64)
    last_gap = int(np.flatnonzero(np.diff(times) != MARKET.step_ms)[-1]) + 1
    rows, times = rows[last_gap:], times[last_gap:]
    candles = Candles.from_prices(Market("ETH-USDT", "1h"), 100, times, list(rows[:, 1:5].T), rows[:, 5])

    assert len(candles) > SETTLED + 200
    assert_equals_talib(candles, SETTLED)


def test_holes_are_stepped_over_as_talib_does() -> None:
    """TA-Lib sees rows, not times: it steps over a hole whatever its length."""
    candles = walk(4000, 8)
    for first in (3200, 2500, 1200, 300):
        candles = without(candles, first, POLICY.holes.longest_bars)

    assert_equals_talib(candles, SETTLED, behind_holes=1)


def test_history_begins_again_behind_a_long_gap() -> None:
    whole, count = walk(1500, 7), POLICY.holes.longest_bars + 1
    broken = compute_indicators(without(whole, 700, count), POLICY)
    alone = compute_indicators(whole[700 + count :], POLICY)

    assert broken.age[699:702].tolist() == [699, 0, 1]
    for name in ("adx", "atr", "rsi", "roc", "macd_histogram", "sma_slow", "band_width", "adx_spread"):
        np.testing.assert_array_equal(getattr(broken, name)[700:], getattr(alone, name), err_msg=name)
