"""The 3D regime as a competent user writes it in an afternoon: TA-Lib's indicators and vector rules in numpy.

Two peers of `benchmarks.candles`, which differ in how they rank volatility: `numba_regimes` with a compiled loop,
`pandas_regimes` with `rolling`. Both find the same trend, volatility and momentum as the engine, and the same
confidence once TA-Lib has settled (to 1e-3: the engine's spreads forget after at most 856 bars).

What they do not do, and the engine does:

* restart the recursions at anchors: TA-Lib's values depend on where the data start: two downloads differ;
* see holes: they take rows for bars, and go on over a week without data; the engine steps over short holes, begins
  history again behind long ones, and says which labels it withholds;
* promise the bits: a stream or a re-run of theirs must take the same start to say the same;
* work in whole ticks: their averages and band widths are differences of running sums of floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import talib
from numba import njit
from numpy.typing import NDArray

from regime_pipeline.policy import CandleRegimePolicy

Floats = NDArray[np.float64]
SETTLED = 900
"""Bars from which on TA-Lib remembers nothing of its start that a label could show."""


class Bars(NamedTuple):
    """Prices as a user holds them, float64."""

    high: Floats
    low: Floats
    close: Floats


class Regimes(NamedTuple):
    """State codes as the engine stores them, int16, and confidence; 0 and 0 where there are too few bars."""

    state: NDArray[np.int16]
    confidence: Floats


class Ranks(NamedTuple):
    """Of a volatility measure: is each value above its trailing percentile, and how many earlier ones are below it."""

    is_above: NDArray[np.bool_]
    below: Floats


RankOf = Callable[[Floats, CandleRegimePolicy], Ranks]
SpreadOf = Callable[[Floats, int], Floats]


@njit(cache=True, nogil=True)
def _ranks(values, window, percentile):  # type: ignore[no-untyped-def]
    """The six-line loop: count the values below; interpolate where the count does not decide."""
    is_above, below = np.zeros(values.size, np.bool_), np.zeros(values.size)
    position = percentile / 100.0 * (window - 1)
    whole = int(position)
    for i in range(window, values.size):
        value, count = values[i], 0
        for j in range(i - window, i):
            count += values[j] < value
        below[i], is_above[i] = count, count > whole + 1
        if count == whole + 1:
            is_above[i] = value > np.percentile(values[i - window : i], percentile)
    return is_above, below


def numba_ranks(values: Floats, p: CandleRegimePolicy) -> Ranks:
    return Ranks(*_ranks(values, p.volatility_window_bars, p.volatility_percentile))


def pandas_ranks(values: Floats, p: CandleRegimePolicy) -> Ranks:
    """The rank by `rolling`; a value is never below itself, so its own place in the window does no harm."""
    series, window = pd.Series(values), p.volatility_window_bars
    below = series.rolling(window + 1).rank(method="min").to_numpy() - 1.0
    bound = series.shift(1).rolling(window).quantile(p.volatility_percentile / 100).to_numpy()
    return Ranks(values > bound, below)


def _signed(distance: Floats, spread: Floats) -> Floats:
    size = np.abs(distance) + spread
    return np.divide(distance, size, out=np.zeros_like(distance), where=size > 0)


@njit(cache=True, nogil=True)
def _numba_spread(values, bars):  # type: ignore[no-untyped-def]
    """Exponentially weighted deviation over strictly earlier values, as six lines of numba."""
    out, alpha, mean, variance, is_first = np.full(values.size, np.nan), 2.0 / (bars + 1), 0.0, 0.0, True
    for i in range(values.size):
        if not np.isnan(values[i]):
            out[i] = np.sqrt(variance)
            step = 0.0 if is_first else values[i] - mean
            mean = values[i] if is_first else mean + alpha * step
            variance, is_first = (1.0 - alpha) * (variance + alpha * step * step), False
    return out


def numba_spread(values: Floats, bars: int) -> Floats:
    found: Floats = _numba_spread(values, bars)
    return found


def pandas_spread(values: Floats, bars: int) -> Floats:
    deviation = pd.Series(values).ewm(span=bars, adjust=False).var(bias=True).shift(1) ** 0.5
    return deviation.to_numpy()


def numba_regimes(bars: Bars, p: CandleRegimePolicy) -> Regimes:
    """TA-Lib, numpy, and numba for ranks and spreads."""
    return _regimes(bars, p, numba_ranks, numba_spread)


def pandas_regimes(bars: Bars, p: CandleRegimePolicy) -> Regimes:
    """TA-Lib, numpy, and pandas for ranks and spreads."""
    return _regimes(bars, p, pandas_ranks, pandas_spread)


def _regimes(bars: Bars, p: CandleRegimePolicy, ranks: RankOf, spread: SpreadOf) -> Regimes:
    high, low, close = bars
    atr = talib.ATR(high, low, close, p.atr_bars)
    trend, trend_margin = _trend(bars, atr, p, spread)
    upper, middle, lower = talib.BBANDS(close, p.bollinger_bars, 2.0, 2.0)
    volatility, volatility_margin = _volatility(ranks(atr / close, p), ranks((upper - lower) / middle, p), p)
    momentum, momentum_margin = _momentum(close, p, spread)
    state = 1 + 6 * trend + 3 * volatility + momentum
    is_trending = (trend > 0) & (trend == momentum)
    is_quiet = (trend == 0) & (volatility == 0)
    margin = np.minimum(trend_margin, np.where(is_trending, np.inf, volatility_margin))
    margin = np.minimum(margin, np.where(is_quiet, np.inf, momentum_margin))
    is_known = np.arange(len(close)) >= p.min_history_bars - 1
    return Regimes(np.where(is_known, state, 0).astype(np.int16), np.where(is_known, np.clip(margin, 0.0, 1.0), 0.0))


def _trend(bars: Bars, atr: Floats, p: CandleRegimePolicy, spread: SpreadOf) -> tuple[NDArray[np.int64], Floats]:
    high, low, close = bars
    adx = talib.ADX(high, low, close, p.adx_bars)
    fast, slow = talib.SMA(close, p.sma_fast_bars), talib.SMA(close, p.sma_slow_bars)
    strong = _signed(adx - p.adx_trend_from, spread(adx, p.margin_spread_bars))
    above, rising = _signed(close - fast, atr), _signed(fast - slow, atr)
    up, down = np.minimum(above, rising), -np.maximum(above, rising)
    is_strong = adx >= p.adx_trend_from
    code = np.where(is_strong & (up > 0), 1, np.where(is_strong & (down > 0), 2, 0))
    up, down = np.minimum(strong, up), np.minimum(strong, down)
    return code, np.choose(code, [np.minimum(-up, -down), up, down])


def _volatility(ranges: Ranks, widths: Ranks, p: CandleRegimePolicy) -> tuple[NDArray[np.int64], Floats]:
    window = p.volatility_window_bars
    whole = int(p.volatility_percentile / 100 * (window - 1))
    is_high, below = ranges.is_above | widths.is_above, np.maximum(ranges.below, widths.below)
    margin = np.where(is_high, (below - whole) / (window - whole), (whole + 2 - below) / (whole + 2))
    return is_high.astype(np.int64), margin


def _momentum(close: Floats, p: CandleRegimePolicy, spread: SpreadOf) -> tuple[NDArray[np.int64], Floats]:
    """Two of three votes: the second largest one is the margin."""
    rsi, roc = talib.RSI(close, p.rsi_bars), talib.ROC(close, p.roc_bars)
    histogram = talib.MACD(close, p.macd_fast_bars, p.macd_slow_bars, p.macd_signal_bars)[2]
    bars = p.margin_spread_bars
    rsi_spread = spread(rsi, bars)
    by_roc, by_macd = _signed(roc, spread(roc, bars)), _signed(histogram, spread(histogram, bars))
    least, most = np.minimum(by_roc, by_macd), np.maximum(by_roc, by_macd)
    bullish = np.maximum(least, np.minimum(most, _signed(rsi - p.rsi_bullish_above, rsi_spread)))
    bearish = np.maximum(-most, np.minimum(-least, -_signed(rsi - p.rsi_bearish_below, rsi_spread)))
    code = np.where(bullish > 0, 1, np.where(bearish > 0, 2, 0))
    return code, np.choose(code, [np.minimum(-bullish, -bearish), bullish, bearish])
