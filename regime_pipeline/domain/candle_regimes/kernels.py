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


@njit(cache=True, nogil=True, error_model="numpy")
def volatility(ranges, widths, valid, window, percentile):  # type: ignore[no-untyped-def]
    """Return 1 where ATR or band width is above its trailing percentile, and margins 0..1 by ranks.

    Decided by the rank alone, but where it falls between the two values that the percentile interpolates.
    """
    codes, margins = np.zeros(ranges.size, np.int8), np.zeros(ranges.size)
    position = percentile / 100.0 * (window - 1)
    whole = int(position)
    part = position - whole
    below_wide, below_broad = _count_below(ranges, window), _count_below(widths, window)
    for i in range(ranges.size):
        if not valid[i]:
            continue
        highest = max(below_wide[i], below_broad[i])
        is_high = highest > whole + 1
        if highest == whole + 1:
            is_wide = below_wide[i] == highest and _is_above_between(ranges[i], ranges[i - window : i], part)
            is_broad = below_broad[i] == highest and _is_above_between(widths[i], widths[i - window : i], part)
            is_high = is_wide or is_broad
        codes[i] = is_high
        margins[i] = (highest - whole if is_high else whole + 2 - highest) / (window - whole if is_high else whole + 2)
    return codes, margins


@njit(cache=True, nogil=True, error_model="numpy")
def smallest_margin(state, margins, decides):  # type: ignore[no-untyped-def]
    """Return the least of the margins (3, n) of the dimensions that decide each state, clipped to 0..1; 0 for state 0.

    `decides` is bool of shape (states, 3).
    """
    out = np.zeros(state.size)
    for i in range(state.size):
        if state[i] == 0:
            continue
        least = np.inf
        for k in range(3):
            if decides[state[i], k] and margins[k][i] < least:
                least = margins[k][i]
        out[i] = min(max(least, 0.0), 1.0)
    return out


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _signed(distance, spread):  # type: ignore[no-untyped-def]
    """Distance over itself plus spread, sign kept: -1..1, monotone in the distance, 0 on the threshold."""
    size = abs(distance) + spread
    return distance / size if size > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def trend(close, sma_fast, sma_slow, atr, adx, adx_spread, adx_from):  # type: ignore[no-untyped-def]
    """Return 1 where ADX is strong and close > fast > slow average, 2 mirrored, else 0, and margins -1..1.

    Where the slow average is NaN, close against the fast one decides.
    """
    codes, margins = np.zeros(close.size, np.int8), np.zeros(close.size)
    for i in range(close.size):
        strong = _signed(adx[i] - adx_from, adx_spread[i])
        above = _signed(close[i] - sma_fast[i], atr[i])
        up_side, down_side = above, -above
        if not np.isnan(sma_slow[i]):
            rising = _signed(sma_fast[i] - sma_slow[i], atr[i])
            up_side, down_side = min(above, rising), min(-above, -rising)
        up, down = min(strong, up_side), min(strong, down_side)
        if adx[i] >= adx_from and up_side > 0.0:
            codes[i], margins[i] = 1, up
        elif adx[i] >= adx_from and down_side > 0.0:
            codes[i], margins[i] = 2, down
        else:
            margins[i] = min(-up, -down)
    return codes, margins


@njit(cache=True, nogil=True, inline="always")
def _second(a, b, c):  # type: ignore[no-untyped-def]
    """Second largest of three."""
    return max(min(a, b), min(max(a, b), c))


@njit(cache=True, nogil=True, error_model="numpy")
def momentum(roc, roc_spread, macd, macd_spread, rsi, rsi_spread, bullish_above, bearish_below):  # type: ignore[no-untyped-def]
    """Return 1 where two of three votes are bullish, 2 where bearish, else 0, and margins: the second largest vote."""
    codes, margins = np.zeros(roc.size, np.int8), np.zeros(roc.size)
    for i in range(roc.size):
        by_roc, by_macd = _signed(roc[i], roc_spread[i]), _signed(macd[i], macd_spread[i])
        bullish = _second(by_roc, by_macd, _signed(rsi[i] - bullish_above, rsi_spread[i]))
        bearish = _second(-by_roc, -by_macd, -_signed(rsi[i] - bearish_below, rsi_spread[i]))
        if bullish > 0.0:
            codes[i], margins[i] = 1, bullish
        elif bearish > 0.0:
            codes[i], margins[i] = 2, bearish
        else:
            margins[i] = min(-bullish, -bearish)
    return codes, margins
