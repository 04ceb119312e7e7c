"""Compiled indicators and labels of candles; import it inside the functions that need it, not at the top of a module.

See `classifier` for the rules in words.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _move(high, low, high_before, low_before):  # type: ignore[no-untyped-def]
    """Return +DM and -DM in ticks."""
    up, down = high - high_before, low_before - low
    return float(up) if up > down and up > 0 else 0.0, float(down) if down > up and down > 0 else 0.0


@njit(cache=True, nogil=True, inline="always")
def _learn(mean, variance, value, alpha):  # type: ignore[no-untyped-def]
    """Return exponentially weighted mean and variance after one more value."""
    step = value - mean
    return mean + alpha * step, (1.0 - alpha) * (variance + alpha * step * step)


@njit(cache=True, nogil=True, inline="always")
def _adx_step(state, age, up, down, true_range, period, alpha):  # type: ignore[no-untyped-def]
    """Wilder's ADX as TA-Lib computes it; state: +DM, -DM and TR sums, sum of DX, ADX, its mean and variance."""
    plus, minus, ranges, dx_sum, value, mean, variance = state
    if age < period:
        return plus + up, minus + down, ranges + true_range, dx_sum, value, mean, variance
    keep = 1.0 - 1.0 / period
    plus, minus, ranges = plus * keep + up, minus * keep + down, ranges * keep + true_range
    total = plus + minus
    is_moving = ranges > 0.0 and total > 0.0
    dx = 100.0 * abs(plus - minus) / total if is_moving else 0.0
    if age < 2 * period:
        dx_sum += dx
        value = dx_sum / period
        return plus, minus, ranges, dx_sum, value, value, variance
    if is_moving:
        value = value * keep + dx * (1.0 / period)
    mean, variance = _learn(mean, variance, value, alpha)
    return plus, minus, ranges, dx_sum, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def _atr_step(state, age, true_range, period):  # type: ignore[no-untyped-def]
    """Wilder's ATR as TA-Lib computes it, in ticks; state: sum of TR, ATR."""
    total, value = state
    if age <= period:
        return total + true_range, (total + true_range) / period
    return total, value * (1.0 - 1.0 / period) + true_range * (1.0 / period)


@njit(cache=True, nogil=True, inline="always")
def _rsi_step(state, age, change, period, alpha):  # type: ignore[no-untyped-def]
    """Wilder's RSI as TA-Lib computes it; state: mean gain and loss, RSI, its mean and variance."""
    gain, loss, value, mean, variance = state
    up, down = max(change, 0.0) * (1.0 / period), max(-change, 0.0) * (1.0 / period)
    if age <= period:
        gain, loss = gain + up, loss + down
    else:
        keep = 1.0 - 1.0 / period
        gain, loss = gain * keep + up, loss * keep + down
    if age < period:
        return gain, loss, value, mean, variance
    value = 100.0 * gain / (gain + loss) if gain + loss > 0.0 else 0.0
    if age == period:
        mean = value
    mean, variance = _learn(mean, variance, value, alpha)
    return gain, loss, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def _macd_step(state, age, price, spans, alpha):  # type: ignore[no-untyped-def]
    """MACD as TA-Lib computes it, in ticks; state: sums of fast, slow and line, their averages, histogram's moments."""
    fast_sum, slow_sum, line_sum, fast, slow, signal, value, mean, variance = state
    if age < spans[1]:
        slow_sum += price
        fast_sum += price if age >= spans[1] - spans[0] else 0.0
        fast, slow = fast_sum / spans[0], slow_sum / spans[1]
    else:
        fast += (price - fast) * (2.0 / (spans[0] + 1))
        slow += (price - slow) * (2.0 / (spans[1] + 1))
    if age >= spans[1] - 1:
        line = fast - slow
        if age < spans[1] - 1 + spans[2]:
            line_sum += line
            signal = line_sum / spans[2]
        else:
            signal += (line - signal) * (2.0 / (spans[2] + 1))
        if age >= spans[1] + spans[2] - 2:
            value = line - signal
            mean = value if age == spans[1] + spans[2] - 2 else mean
            mean, variance = _learn(mean, variance, value, alpha)
    return fast_sum, slow_sum, line_sum, fast, slow, signal, value, mean, variance


@njit(cache=True, nogil=True, error_model="numpy")
def _block(high, low, close, start, first, end, periods, alpha, out):  # type: ignore[no-untyped-def]
    """Every recursive indicator, cold from row `start`, kept for rows `first` to `end`; see `recursive_indicators`."""
    adx_bars, atr_bars, rsi_bars, roc_bars = periods[0], periods[1], periods[2], periods[3]
    spans = (periods[4], periods[5], periods[6])
    adx, atr, rsi = (0.0, 0.0, 0.0, 0.0, np.nan, 0.0, 0.0), (0.0, np.nan), (0.0, 0.0, np.nan, 0.0, 0.0)
    macd = _macd_step((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.nan, 0.0, 0.0), 0, float(close[start]), spans, alpha)
    roc, roc_mean, roc_variance = np.nan, 0.0, 0.0
    for i in range(start + 1, end):
        age = i - start
        up, down = _move(high[i], low[i], high[i - 1], low[i - 1])
        true_range = float(max(high[i], close[i - 1]) - min(low[i], close[i - 1]))
        variances = adx[6], rsi[4], roc_variance, macd[8]
        adx = _adx_step(adx, age, up, down, true_range, adx_bars, alpha)
        atr = _atr_step(atr, age, true_range, atr_bars)
        rsi = _rsi_step(rsi, age, float(close[i] - close[i - 1]), rsi_bars, alpha)
        macd = _macd_step(macd, age, float(close[i]), spans, alpha)
        if age >= roc_bars:
            roc = 100.0 * float(close[i] - close[i - roc_bars]) / float(close[i - roc_bars])
            roc_mean = roc if age == roc_bars else roc_mean
            roc_mean, roc_variance = _learn(roc_mean, roc_variance, roc, alpha)
        if i >= first:
            out[0, i] = adx[4] if age >= 2 * adx_bars - 1 else np.nan
            out[1, i] = atr[1] if age >= atr_bars else np.nan
            out[2, i], out[3, i], out[4, i] = rsi[2], roc, macd[6]
            for k in range(4):
                out[5 + k, i] = np.sqrt(variances[k])


@njit(cache=True, nogil=True, error_model="numpy")
def recursive_indicators(bar, starts, high, low, close, periods, alpha, anchor, warmup):  # type: ignore[no-untyped-def]
    """Fill every recursive indicator, anchored: each block of `anchor` bar numbers starts cold `warmup` bars before it.

    Bars that are absent are stepped over.

    `periods` are ADX, ATR, RSI, ROC and the three MACD spans. Returns float64, shape (9, n), NaN where not warm: adx,
    atr, rsi, roc, histogram, and the trailing spreads of adx, rsi, roc and histogram, each from strictly earlier bars.
    """
    n = close.size
    out = np.full((9, n), np.nan)
    first = 0
    while first < n:
        block = bar[first] // anchor
        end = first + 1
        while end < n and bar[end] // anchor == block and starts[end] == starts[first]:
            end += 1
        start = max(starts[first], np.searchsorted(bar, block * anchor - warmup))
        _block(high, low, close, start, first, end, periods, alpha, out)
        first = end
    return out


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
    """Bollinger band width over middle, population deviation, each window summed afresh; NaN where `middle` is."""
    out = np.full(close.size, np.nan)
    for i in range(close.size):
        if not np.isnan(middle[i]):
            total = 0.0
            for j in range(i - period + 1, i + 1):
                step = close[j] - middle[i]
                total += step * step
            out[i] = 2.0 * width * np.sqrt(total / period) / middle[i]
    return out


@njit(cache=True, nogil=True, inline="always")
def _is_above(values, i, window, whole, part):  # type: ignore[no-untyped-def]
    """Is values[i] above the percentile of the `window` values strictly before; and how many of those are below it.

    Decided by the rank alone, but where it falls between the two values that the percentile interpolates.
    """
    value, below = values[i], 0
    before = values[i - window : i]
    for j in range(window):
        below += before[j] < value
    if below != whole + 1:
        return below > whole + 1, below
    lower, upper = -np.inf, np.inf
    for j in range(window):
        if before[j] < value:
            lower = max(lower, before[j])
        else:
            upper = min(upper, before[j])
    return value > lower + (upper - lower) * part, below


@njit(cache=True, nogil=True, error_model="numpy")
def volatility(ranges, widths, valid, window, percentile):  # type: ignore[no-untyped-def]
    """Return 1 where ATR or band width is above its trailing percentile, and margins 0..1 by ranks."""
    codes, margins = np.zeros(ranges.size, np.int8), np.zeros(ranges.size)
    position = percentile / 100.0 * (window - 1)
    whole = int(position)
    part = position - whole
    for i in range(ranges.size):
        if not valid[i]:
            continue
        is_wide, below_wide = _is_above(ranges, i, window, whole, part)
        is_broad, below_broad = _is_above(widths, i, window, whole, part)
        highest = max(below_wide, below_broad)
        if is_wide or is_broad:
            codes[i] = 1
            margins[i] = (highest - whole) / (window - whole)
        else:
            margins[i] = (whole + 2 - highest) / (whole + 2)
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
