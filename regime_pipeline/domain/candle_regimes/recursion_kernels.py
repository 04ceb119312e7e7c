"""Compiled recursive indicators, as TA-Lib computes them, but anchored; import it inside the functions that need it.

Each block of `anchor` bar numbers starts cold `warmup` bars before it, so most bars are gone through three times. The
order of operations is part of a label's bits, which are promised.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_OUTPUTS = 9


@njit(cache=True, nogil=True)
def _shares_of(periods, alpha):  # type: ignore[no-untyped-def]
    """Return what one bar weighs in ADX, ATR, RSI, the three averages of MACD, and the spreads."""
    wilder = (1.0 / periods[0], 1.0 / periods[1], 1.0 / periods[2])
    return (*wilder, 2.0 / (periods[4] + 1), 2.0 / (periods[5] + 1), 2.0 / (periods[6] + 1), alpha)


@njit(cache=True, nogil=True, inline="always")
def _larger_move(one, other):  # type: ignore[no-untyped-def]
    """Return a directional move where it is the larger one and none against, else 0; without a branch to guess."""
    return one if (one > other) & (one > 0.0) else 0.0


@njit(cache=True, nogil=True, inline="always")
def _true_range(high, low, close_before):  # type: ignore[no-untyped-def]
    """Return the bar's range, the close before included."""
    return (high if high > close_before else close_before) - (low if low < close_before else close_before)


@njit(cache=True, nogil=True, inline="always")
def _gain(change, share):  # type: ignore[no-untyped-def]
    """Return what a rise adds to the RSI's mean gain; a fall's loss is the gain of its negative."""
    return (change if change > 0.0 else 0.0) * share


@njit(cache=True, nogil=True, inline="always")
def _moves_at(high, low, close, i, rsi_share, roc_bars):  # type: ignore[no-untyped-def]
    """Return what the steps take of row i, at least 1; in the first rows nobody asks for the last, ROC."""
    up, down, change = high[i] - high[i - 1], low[i - 1] - low[i], close[i] - close[i - 1]
    then = close[max(i - roc_bars, 0)]
    directions = _larger_move(up, down), _larger_move(down, up)
    votes = _gain(change, rsi_share), _gain(-change, rsi_share), close[i], 100.0 * (close[i] - then) / then
    return (*directions, _true_range(high[i], low[i], close[i - 1]), *votes)


@njit(cache=True, nogil=True, inline="always")
def _learn(mean, variance, value, alpha):  # type: ignore[no-untyped-def]
    """Return exponentially weighted mean and variance after one more value."""
    step = value - mean
    return mean + alpha * step, (1.0 - alpha) * (variance + alpha * step * step)


@njit(cache=True, nogil=True, inline="always")
def _directional_index(plus, minus, ranges, up, down, true_range, share):  # type: ignore[no-untyped-def]
    """Return the sums of +DM, -DM and TR after one more bar, DX, and whether there was any move."""
    keep = 1.0 - share
    plus, minus, ranges = plus * keep + up, minus * keep + down, ranges * keep + true_range
    total = plus + minus
    is_moving = (ranges > 0.0) & (total > 0.0)
    dx = 100.0 * abs(plus - minus) / total
    return plus, minus, ranges, dx if is_moving else 0.0, is_moving


@njit(cache=True, nogil=True, inline="always")
def _strength(gain, loss):  # type: ignore[no-untyped-def]
    """Return the RSI of mean gain and loss; 0 where nothing moved."""
    total = gain + loss
    value = 100.0 * gain / total
    return value if total > 0.0 else 0.0


@njit(cache=True, nogil=True, inline="always")
def _follow(average, price, share):  # type: ignore[no-untyped-def]
    """Return an exponential average after one more price."""
    return average + (price - average) * share


@njit(cache=True, nogil=True, inline="always")
def _adx_step(state, age, up, down, true_range, period, share, alpha):  # type: ignore[no-untyped-def]
    """Wilder's ADX; state: +DM, -DM and TR sums, sum of DX, ADX, its mean and variance."""
    plus, minus, ranges, dx_sum, value, mean, variance = state
    if age < period:
        return plus + up, minus + down, ranges + true_range, dx_sum, value, mean, variance
    plus, minus, ranges, dx, is_moving = _directional_index(plus, minus, ranges, up, down, true_range, share)
    if age < 2 * period:
        dx_sum += dx
        value = dx_sum / period
        return plus, minus, ranges, dx_sum, value, value, variance
    value = value * (1.0 - share) + dx * share if is_moving else value
    mean, variance = _learn(mean, variance, value, alpha)
    return plus, minus, ranges, dx_sum, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def _atr_step(state, age, true_range, period, share):  # type: ignore[no-untyped-def]
    """Wilder's ATR in ticks; state: sum of TR, ATR."""
    total, value = state
    if age <= period:
        return total + true_range, (total + true_range) / period
    return total, value * (1.0 - share) + true_range * share


@njit(cache=True, nogil=True, inline="always")
def _rsi_step(state, age, up, down, period, share, alpha):  # type: ignore[no-untyped-def]
    """Wilder's RSI; state: mean gain and loss, RSI, its mean and variance."""
    gain, loss, value, mean, variance = state
    if age <= period:
        gain, loss = gain + up, loss + down
    else:
        gain, loss = gain * (1.0 - share) + up, loss * (1.0 - share) + down
    if age < period:
        return gain, loss, value, mean, variance
    value = _strength(gain, loss)
    if age == period:
        mean = value
    mean, variance = _learn(mean, variance, value, alpha)
    return gain, loss, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def _roc_step(state, age, roc, period, alpha):  # type: ignore[no-untyped-def]
    """Rate of change; state: ROC, its mean and variance."""
    value, mean, variance = state
    if age < period:
        return value, mean, variance
    mean, variance = _learn(roc if age == period else mean, variance, roc, alpha)
    return roc, mean, variance


@njit(cache=True, nogil=True, inline="always")
def _macd_step(state, age, price, spans, shares, alpha):  # type: ignore[no-untyped-def]
    """MACD in ticks; state: sums of fast, slow and line, their averages, histogram, its mean and variance."""
    fast_sum, slow_sum, line_sum, fast, slow, signal, value, mean, variance = state
    if age < spans[1]:
        slow_sum += price
        fast_sum += price if age >= spans[1] - spans[0] else 0.0
        fast, slow = fast_sum / spans[0], slow_sum / spans[1]
    else:
        fast, slow = _follow(fast, price, shares[0]), _follow(slow, price, shares[1])
    if age >= spans[1] - 1:
        line = fast - slow
        if age < spans[1] - 1 + spans[2]:
            line_sum += line
            signal = line_sum / spans[2]
        else:
            signal = _follow(signal, line, shares[2])
        if age >= spans[1] + spans[2] - 2:
            value = line - signal
            mean = value if age == spans[1] + spans[2] - 2 else mean
            mean, variance = _learn(mean, variance, value, alpha)
    return fast_sum, slow_sum, line_sum, fast, slow, signal, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def _cold(price, periods, shares):  # type: ignore[no-untyped-def]
    """Return the states of ADX, ATR, RSI, ROC and MACD at the first bar."""
    spans, slopes = (periods[4], periods[5], periods[6]), (shares[3], shares[4], shares[5])
    macd = _macd_step((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.nan, 0.0, 0.0), 0, price, spans, slopes, 0.0)
    adx, rsi = (0.0, 0.0, 0.0, 0.0, np.nan, 0.0, 0.0), (0.0, 0.0, np.nan, 0.0, 0.0)
    return adx, (0.0, np.nan), rsi, (np.nan, 0.0, 0.0), macd


@njit(cache=True, nogil=True, inline="always")
def _step(states, age, inputs, periods, shares):  # type: ignore[no-untyped-def]
    """Return the states of all five after one more bar, `age` bars behind the first."""
    adx, atr, rsi, roc, macd = states
    up, down, true_range, gain, loss, price, change = inputs
    spans, slopes, alpha = (periods[4], periods[5], periods[6]), (shares[3], shares[4], shares[5]), shares[6]
    return (
        _adx_step(adx, age, up, down, true_range, periods[0], shares[0], alpha),
        _atr_step(atr, age, true_range, periods[1], shares[1]),
        _rsi_step(rsi, age, gain, loss, periods[2], shares[2], alpha),
        _roc_step(roc, age, change, periods[3], alpha),
        _macd_step(macd, age, price, spans, slopes, alpha),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _block(high, low, close, start, first, end, periods, shares, out):  # type: ignore[no-untyped-def]
    """Every recursive indicator, cold from row `start`, kept for rows `first` to `end`; spreads are left squared."""
    states = _cold(close[start], periods, shares)
    for i in range(start + 1, end):
        age = i - start
        before = states
        states = _step(states, age, _moves_at(high, low, close, i, shares[2], periods[3]), periods, shares)
        if i >= first:
            adx, atr, rsi, roc, macd = states
            out[0, i] = adx[4] if age >= 2 * periods[0] - 1 else np.nan
            out[1, i] = atr[1] if age >= periods[1] else np.nan
            out[2, i], out[3, i], out[4, i] = rsi[2], roc[0], macd[6]
            out[5, i], out[6, i], out[7, i], out[8, i] = before[0][6], before[2][4], before[3][2], before[4][8]


@njit(cache=True, nogil=True)
def _block_end(bar, starts, first, anchor):  # type: ignore[no-untyped-def]
    """Return the row behind the block of row `first`: the next anchor, or where history begins again."""
    end = min(bar.size, first + anchor)
    end = first + np.searchsorted(bar[first:end], (bar[first] // anchor + 1) * anchor)
    return first + np.searchsorted(starts[first:end], starts[first], side="right")


@njit(cache=True, nogil=True, error_model="numpy")
def recursive_indicators(bar, starts, high, low, close, periods, alpha, anchor, warmup):  # type: ignore[no-untyped-def]
    """Fill every recursive indicator, anchored: each block of `anchor` bar numbers starts cold `warmup` bars before it.

    Bars that are absent are stepped over.

    `periods` are ADX, ATR, RSI, ROC and the three MACD spans. Returns float64, shape (9, n), NaN where not warm: adx,
    atr, rsi, roc, histogram, and the trailing spreads of adx, rsi, roc and histogram, each from strictly earlier bars.
    """
    out = np.full((_OUTPUTS, close.size), np.nan)
    spans = (periods[0], periods[1], periods[2], periods[3], periods[4], periods[5], periods[6])
    shares = _shares_of(spans, alpha)
    first = 0
    while first < close.size:
        end = _block_end(bar, starts, first, anchor)
        start = max(starts[first], np.searchsorted(bar, bar[first] // anchor * anchor - warmup))
        _block(high, low, close, start, first, end, spans, shares, out)
        first = end
    for k in range(5, _OUTPUTS):
        for i in range(close.size):
            out[k, i] = np.sqrt(out[k, i])
    return out
