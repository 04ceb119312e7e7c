"""Compiled indicators and labels of candles; import it inside the functions that need it, not at the top of a module.

See `classifier` for the rules in words.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_CHUNK = 512
"""Values that one pass goes over: they stay in the processor's first cache."""


@njit(cache=True, nogil=True, error_model="numpy")
def moving_average(close, starts, period):  # type: ignore[no-untyped-def]
    """Simple moving average in ticks from exact integer sums; NaN until `period` bars of the segment are there."""
    out = np.full(close.size, np.nan)
    total = 0
    for i in range(close.size):
        age = i - starts[i]
        total = close[i] if age == 0 else total + close[i]
        if age >= period:
            total -= close[i - period]
        if age >= period - 1:
            out[i] = total / period
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def band_width(close, middle, period, width):  # type: ignore[no-untyped-def]
    """Bollinger band width over middle, population deviation, each window summed afresh; NaN where `middle` is.

    Many windows grow side by side, each in the order of its own bars: one instruction adds to several of them.
    """
    out = np.full(close.size, np.nan)
    for begin in range(period - 1, close.size, _CHUNK):
        end = min(begin + _CHUNK, close.size)
        totals, middles = np.zeros(end - begin), middle[begin:end]
        for back in range(period - 1, -1, -1):
            closes = close[begin - back : end - back]
            for j in range(totals.size):
                step = closes[j] - middles[j]
                totals[j] += step * step
        for j in range(totals.size):
            out[begin + j] = 2.0 * width * np.sqrt(totals[j] / period) / middles[j]
    return out


@njit(cache=True, nogil=True)
def _count_below(values, window):  # type: ignore[no-untyped-def]
    """Return how many of the `window` values strictly before each are below it; 0 for the first ones.

    Four neighbours are compared in a pass over many values, which one instruction does for several of them.
    """
    out = np.zeros(values.size, np.int64)
    for begin in range(window, values.size, _CHUNK):
        end = min(begin + _CHUNK, values.size)
        now, counts = values[begin:end], out[begin:end]
        for back in range(1, window - 2, 4):
            a, b = values[begin - back : end - back], values[begin - back - 1 : end - back - 1]
            c, d = values[begin - back - 2 : end - back - 2], values[begin - back - 3 : end - back - 3]
            for j in range(counts.size):
                counts[j] += (a[j] < now[j]) + (b[j] < now[j]) + (c[j] < now[j]) + (d[j] < now[j])
        for back in range(window - window % 4 + 1, window + 1):
            a = values[begin - back : end - back]
            for j in range(counts.size):
                counts[j] += a[j] < now[j]
    return out


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _is_above_between(value, before, part):  # type: ignore[no-untyped-def]
    """Is a value above the place `part` of the way between its two neighbours among those before it.

    No value is NaN here. To say so lets the compiler find the largest in any order, which changes no bit.
    """
    lower, upper = -np.inf, np.inf
    for j in range(before.size):
        under = before[j] if before[j] < value else -np.inf
        over = np.inf if before[j] < value else before[j]
        lower = under if under > lower else lower
        upper = over if over < upper else upper
    return value > lower + (upper - lower) * part


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _signed(distance, spread):  # type: ignore[no-untyped-def]
    """Distance over itself plus spread, sign kept: -1..1, monotone in the distance, 0 on the threshold."""
    size = abs(distance) + spread
    return distance / size if size > 0.0 else 0.0


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _trend(close, fast, slow, atr, adx, adx_spread, adx_from):  # type: ignore[no-untyped-def]
    """Return 1 where ADX is strong and close > fast > slow average, 2 mirrored, else 0, and its margin -1..1.

    Where the slow average is NaN, close against the fast one decides.
    """
    strong, above = _signed(adx - adx_from, adx_spread), _signed(close - fast, atr)
    up_side, down_side = above, -above
    if not np.isnan(slow):
        rising = _signed(fast - slow, atr)
        up_side, down_side = min(above, rising), min(-above, -rising)
    up, down = min(strong, up_side), min(strong, down_side)
    if adx >= adx_from and up_side > 0.0:
        return 1, up
    if adx >= adx_from and down_side > 0.0:
        return 2, down
    return 0, min(-up, -down)


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _volatility(is_high, highest, window, whole):  # type: ignore[no-untyped-def]
    """Return 1 or 0, and the margin 0..1 by the higher one of the ranks."""
    if is_high:
        return 1, (highest - whole) / (window - whole)
    return 0, (whole + 2 - highest) / (whole + 2)


@njit(cache=True, nogil=True, inline="always")
def _second(a, b, c):  # type: ignore[no-untyped-def]
    """Second largest of three."""
    return max(min(a, b), min(max(a, b), c))


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _momentum(by_roc, by_macd, by_bullish_rsi, by_bearish_rsi):  # type: ignore[no-untyped-def]
    """Return 1 where two of three votes are bullish, 2 where bearish, else 0, and its margin: the second largest."""
    bullish = _second(by_roc, by_macd, by_bullish_rsi)
    bearish = _second(-by_roc, -by_macd, -by_bearish_rsi)
    if bullish > 0.0:
        return 1, bullish
    if bearish > 0.0:
        return 2, bearish
    return 0, min(-bullish, -bearish)


@njit(cache=True, nogil=True)
def high_volatility(ranges, widths, valid, window, percentile):  # type: ignore[no-untyped-def]
    """Return where ATR or band width is above its trailing percentile, and the higher one of their ranks.

    Decided by the rank alone, but where it falls between the two values that the percentile interpolates.
    """
    position = percentile / 100.0 * (window - 1)
    whole = int(position)
    part = position - whole
    is_high, highest, broad = (
        np.zeros(ranges.size, np.bool_),
        _count_below(ranges, window),
        _count_below(widths, window),
    )
    for i in range(ranges.size):
        wide = highest[i]
        rank = max(wide, broad[i])
        highest[i], is_high[i] = rank, rank > whole + 1
        if rank == whole + 1 and valid[i]:
            is_wide = wide == rank and _is_above_between(ranges[i], ranges[i - window : i], part)
            is_broad = broad[i] == rank and _is_above_between(widths[i], widths[i - window : i], part)
            is_high[i] = is_wide or is_broad
    return is_high, highest


@njit(cache=True, nogil=True, error_model="numpy")
def label(valid, prices, votes, volatile, bounds, codes, decides):  # type: ignore[no-untyped-def]
    """Return state codes, int16, and confidence of every candle in one pass; both 0 where not `valid`.

    Parameters
    ----------
    valid : ndarray of bool, shape (n,)
        Which candles have a label.
    prices : tuple of ndarray
        Close, fast and slow average, and ATR.
    votes : tuple of ndarray
        ADX, ROC, MACD histogram and RSI, each followed by its spread.
    volatile : tuple
        From `high_volatility`, then its window and the whole places of its percentile.
    bounds : tuple of float
        Of ADX, of a bullish and of a bearish RSI.
    codes : ndarray of int16, shape (3, 2, 3)
        State by trend, volatility and momentum.
    decides : ndarray of bool, shape (states, 3)
        Which of the three decide the simplified regime of each state: the least of their margins is the confidence.
    """
    close, fast, slow, atr = prices
    adx, adx_spread, roc, roc_spread, macd, macd_spread, rsi, rsi_spread = votes
    is_high, highest, window, whole = volatile
    state, confidence = np.zeros(valid.size, np.int16), np.zeros(valid.size)
    for i in range(valid.size):
        if not valid[i]:
            continue
        trend = _trend(close[i], fast[i], slow[i], atr[i], adx[i], adx_spread[i], bounds[0])
        volatility = _volatility(is_high[i], highest[i], window, whole)
        momentum = _momentum(
            _signed(roc[i], roc_spread[i]), _signed(macd[i], macd_spread[i]),
            _signed(rsi[i] - bounds[1], rsi_spread[i]), _signed(rsi[i] - bounds[2], rsi_spread[i]),
        )  # fmt: skip
        code, least = codes[trend[0], volatility[0], momentum[0]], np.inf
        least = trend[1] if decides[code, 0] and trend[1] < least else least
        least = volatility[1] if decides[code, 1] and volatility[1] < least else least
        least = momentum[1] if decides[code, 2] and momentum[1] < least else least
        state[i], confidence[i] = code, min(max(least, 0.0), 1.0)
    return state, confidence
