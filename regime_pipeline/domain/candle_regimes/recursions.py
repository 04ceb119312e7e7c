"""Compiled steps of the recursive indicators, one bar each, as TA-Lib computes them; see `anchored` for the loops.

Whatever runs them must take the same operations in the same order: a label's bits are promised.
"""

from __future__ import annotations

import numpy as np
from numba import njit

INPUTS = 7
"""What the steps take of a bar: +DM, -DM, true range, gain and loss over the RSI's period, close and ROC."""


@njit(cache=True, nogil=True)
def shares_of(periods, alpha):  # type: ignore[no-untyped-def]
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
def moves_at(high, low, close, i, rsi_share, roc_bars):  # type: ignore[no-untyped-def]
    """Return the `INPUTS` of row i, at least 1; ROC has no meaning in the first rows, where nobody asks for it."""
    up, down, change = high[i] - high[i - 1], low[i - 1] - low[i], close[i] - close[i - 1]
    then = close[max(i - roc_bars, 0)]
    directions = _larger_move(up, down), _larger_move(down, up)
    votes = _gain(change, rsi_share), _gain(-change, rsi_share), close[i], 100.0 * (close[i] - then) / then
    return (*directions, _true_range(high[i], low[i], close[i - 1]), *votes)


@njit(cache=True, nogil=True, error_model="numpy")
def moves_of(high, low, close, begin, end, rsi_share, roc_bars, out):  # type: ignore[no-untyped-def]
    """Write the `INPUTS` of rows `begin` to `end` into `out`, shape (7, end - begin); `begin` is at least `roc_bars`.

    Few arrays a loop: with more of them the compiler no longer proves that vectors are safe.
    """
    plus, minus, ranges, gain, loss, roc = out[0], out[1], out[2], out[3], out[4], out[6]
    h, w, c, then = high[begin:end], low[begin:end], close[begin:end], close[begin - roc_bars : end - roc_bars]
    h1, w1, c1 = high[begin - 1 : end - 1], low[begin - 1 : end - 1], close[begin - 1 : end - 1]
    for j in range(c.size):
        plus[j] = _larger_move(h[j] - h1[j], w1[j] - w[j])
    for j in range(c.size):
        minus[j] = _larger_move(w1[j] - w[j], h[j] - h1[j])
    for j in range(c.size):
        ranges[j] = _true_range(h[j], w[j], c1[j])
    for j in range(c.size):
        gain[j], loss[j] = _gain(c[j] - c1[j], rsi_share), _gain(-(c[j] - c1[j]), rsi_share)
    for j in range(c.size):
        roc[j] = 100.0 * (c[j] - then[j]) / then[j]
    out[5] = c


@njit(cache=True, nogil=True, inline="always")
def learn(mean, variance, value, alpha):  # type: ignore[no-untyped-def]
    """Return exponentially weighted mean and variance after one more value."""
    step = value - mean
    return mean + alpha * step, (1.0 - alpha) * (variance + alpha * step * step)


@njit(cache=True, nogil=True, inline="always")
def directional_index(plus, minus, ranges, up, down, true_range, share):  # type: ignore[no-untyped-def]
    """Return the sums of +DM, -DM and TR after one more bar, DX, and whether there was any move."""
    keep = 1.0 - share
    plus, minus, ranges = plus * keep + up, minus * keep + down, ranges * keep + true_range
    total = plus + minus
    is_moving = (ranges > 0.0) & (total > 0.0)
    dx = 100.0 * abs(plus - minus) / total
    return plus, minus, ranges, dx if is_moving else 0.0, is_moving


@njit(cache=True, nogil=True, inline="always")
def smooth_adx(value, mean, variance, dx, is_moving, share, alpha):  # type: ignore[no-untyped-def]
    """Return ADX, its mean and variance after one more DX; for rows from 2 * period on."""
    following = value * (1.0 - share) + dx * share
    value = following if is_moving else value
    mean, variance = learn(mean, variance, value, alpha)
    return value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def smooth_atr(value, true_range, share):  # type: ignore[no-untyped-def]
    """Return Wilder's ATR after one more bar; for rows behind `period`."""
    return value * (1.0 - share) + true_range * share


@njit(cache=True, nogil=True, inline="always")
def smooth_rsi(mean_gain, mean_loss, gain, loss, share):  # type: ignore[no-untyped-def]
    """Return mean gain and loss after one more bar; for rows behind `period`."""
    keep = 1.0 - share
    return mean_gain * keep + gain, mean_loss * keep + loss


@njit(cache=True, nogil=True, inline="always")
def strength(gain, loss):  # type: ignore[no-untyped-def]
    """Return the RSI of mean gain and loss; 0 where nothing moved."""
    total = gain + loss
    value = 100.0 * gain / total
    return value if total > 0.0 else 0.0


@njit(cache=True, nogil=True, inline="always")
def follow(average, price, share):  # type: ignore[no-untyped-def]
    """Return an exponential average after one more price."""
    return average + (price - average) * share


@njit(cache=True, nogil=True, inline="always")
def adx_step(state, age, up, down, true_range, period, share, alpha):  # type: ignore[no-untyped-def]
    """Wilder's ADX; state: +DM, -DM and TR sums, sum of DX, ADX, its mean and variance."""
    plus, minus, ranges, dx_sum, value, mean, variance = state
    if age < period:
        return plus + up, minus + down, ranges + true_range, dx_sum, value, mean, variance
    plus, minus, ranges, dx, is_moving = directional_index(plus, minus, ranges, up, down, true_range, share)
    if age < 2 * period:
        dx_sum += dx
        value = dx_sum / period
        return plus, minus, ranges, dx_sum, value, value, variance
    value, mean, variance = smooth_adx(value, mean, variance, dx, is_moving, share, alpha)
    return plus, minus, ranges, dx_sum, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def atr_step(state, age, true_range, period, share):  # type: ignore[no-untyped-def]
    """Wilder's ATR in ticks; state: sum of TR, ATR."""
    total, value = state
    if age <= period:
        return total + true_range, (total + true_range) / period
    return total, smooth_atr(value, true_range, share)


@njit(cache=True, nogil=True, inline="always")
def rsi_step(state, age, up, down, period, share, alpha):  # type: ignore[no-untyped-def]
    """Wilder's RSI; state: mean gain and loss, RSI, its mean and variance."""
    gain, loss, value, mean, variance = state
    if age <= period:
        gain, loss = gain + up, loss + down
    else:
        gain, loss = smooth_rsi(gain, loss, up, down, share)
    if age < period:
        return gain, loss, value, mean, variance
    value = strength(gain, loss)
    if age == period:
        mean = value
    mean, variance = learn(mean, variance, value, alpha)
    return gain, loss, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def roc_step(state, age, roc, period, alpha):  # type: ignore[no-untyped-def]
    """Rate of change; state: ROC, its mean and variance."""
    value, mean, variance = state
    if age < period:
        return value, mean, variance
    mean, variance = learn(roc if age == period else mean, variance, roc, alpha)
    return roc, mean, variance


@njit(cache=True, nogil=True, inline="always")
def macd_step(state, age, price, spans, shares, alpha):  # type: ignore[no-untyped-def]
    """MACD in ticks; state: sums of fast, slow and line, their averages, histogram, its mean and variance."""
    fast_sum, slow_sum, line_sum, fast, slow, signal, value, mean, variance = state
    if age < spans[1]:
        slow_sum += price
        fast_sum += price if age >= spans[1] - spans[0] else 0.0
        fast, slow = fast_sum / spans[0], slow_sum / spans[1]
    else:
        fast, slow = follow(fast, price, shares[0]), follow(slow, price, shares[1])
    if age >= spans[1] - 1:
        line = fast - slow
        if age < spans[1] - 1 + spans[2]:
            line_sum += line
            signal = line_sum / spans[2]
        else:
            signal = follow(signal, line, shares[2])
        if age >= spans[1] + spans[2] - 2:
            value = line - signal
            mean = value if age == spans[1] + spans[2] - 2 else mean
            mean, variance = learn(mean, variance, value, alpha)
    return fast_sum, slow_sum, line_sum, fast, slow, signal, value, mean, variance


@njit(cache=True, nogil=True, inline="always")
def cold(price, periods, shares):  # type: ignore[no-untyped-def]
    """Return the states of ADX, ATR, RSI, ROC and MACD at the first bar."""
    spans, slopes = (periods[4], periods[5], periods[6]), (shares[3], shares[4], shares[5])
    macd = macd_step((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.nan, 0.0, 0.0), 0, price, spans, slopes, 0.0)
    adx, rsi = (0.0, 0.0, 0.0, 0.0, np.nan, 0.0, 0.0), (0.0, 0.0, np.nan, 0.0, 0.0)
    return adx, (0.0, np.nan), rsi, (np.nan, 0.0, 0.0), macd


@njit(cache=True, nogil=True, inline="always")
def step(states, age, inputs, periods, shares):  # type: ignore[no-untyped-def]
    """Return the states of all five after one more bar, `age` bars behind the first."""
    adx, atr, rsi, roc, macd = states
    up, down, true_range, gain, loss, price, change = inputs
    spans, slopes, alpha = (periods[4], periods[5], periods[6]), (shares[3], shares[4], shares[5]), shares[6]
    return (
        adx_step(adx, age, up, down, true_range, periods[0], shares[0], alpha),
        atr_step(atr, age, true_range, periods[1], shares[1]),
        rsi_step(rsi, age, gain, loss, periods[2], shares[2], alpha),
        roc_step(roc, age, change, periods[3], alpha),
        macd_step(macd, age, price, spans, slopes, alpha),
    )
