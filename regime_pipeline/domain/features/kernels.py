"""Compiled window statistics of the hourly features; each value depends on the bars of its own window alone.

Every kernel takes `ends`, the row of each window's newest bar, and restarts inside the window, so that no value knows
where the arrays begin. See `ranges.kernels` for range discovery, `windows` for the choice of windows.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_TOGETHER = 64
"""Windows that are summed side by side."""


@njit(cache=True, nogil=True, error_model="numpy")
def bar_logs(open_, high, low, close):  # type: ignore[no-untyped-def]
    """Return log close and Rogers-Satchell variance of each bar; float64, shape (2, n), prices in ticks."""
    out = np.empty((2, close.size))
    for i in range(close.size):
        out[0, i] = math.log(close[i])
        up, down = math.log(high[i] / close[i]), math.log(low[i] / close[i])
        out[1, i] = up * math.log(high[i] / open_[i]) + down * math.log(low[i] / open_[i])
    return out


@njit(cache=True, nogil=True)
def directional_moves(high, low, close):  # type: ignore[no-untyped-def]
    """Return +DM, -DM and true range of each bar against the one before; float64 ticks, shape (3, n), first 0."""
    out = np.zeros((3, close.size))
    for i in range(1, close.size):
        up, down = high[i] - high[i - 1], low[i - 1] - low[i]
        if up > down and up > 0:
            out[0, i] = up
        if down > up and down > 0:
            out[1, i] = down
        out[2, i] = max(high[i], close[i - 1]) - min(low[i], close[i - 1])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _adx_window(plus_dm, minus_dm, period, adx):  # type: ignore[no-untyped-def]
    """Fill `adx` from bar 2 * period - 1 on, as TA-Lib does; return smoothed +DM less -DM of the last bar."""
    keep = 1.0 - 1.0 / period
    plus, minus, dx_sum = 0.0, 0.0, 0.0
    for i in range(1, period):
        plus, minus = plus + plus_dm[i], minus + minus_dm[i]
    for i in range(period, adx.size):
        plus, minus = plus * keep + plus_dm[i], minus * keep + minus_dm[i]
        total = plus + minus
        dx = 100.0 * abs(plus - minus) / total if total > 0.0 else 0.0
        if i < 2 * period:
            dx_sum += dx
            adx[i] = dx_sum / period
        else:
            adx[i] = adx[i - 1] * keep + dx / period if total > 0.0 else adx[i - 1]
    return plus - minus


@njit(cache=True, nogil=True, error_model="numpy")
def _atr_window(true_range, period, atr):  # type: ignore[no-untyped-def]
    """Fill `atr` from bar `period` on: a simple mean first, then Wilder's smoothing."""
    keep, total = 1.0 - 1.0 / period, 0.0
    for i in range(1, period + 1):
        total += true_range[i]
    atr[period] = total / period
    for i in range(period + 1, atr.size):
        atr[i] = atr[i - 1] * keep + true_range[i] / period


@njit(cache=True, nogil=True, error_model="numpy")
def _change_spread(atr, bars):  # type: ignore[no-untyped-def]
    """Return the sample standard deviation of the last `bars` changes of ln ATR, ATR at least one tick."""
    total, squares = 0.0, 0.0
    before = math.log(max(atr[atr.size - 1 - bars], 1.0))
    for i in range(atr.size - bars, atr.size):
        now = math.log(max(atr[i], 1.0))
        total += now - before
        squares += (now - before) * (now - before)
        before = now
    return math.sqrt(max(0.0, squares - total * total / bars) / (bars - 1))


@njit(cache=True, nogil=True, error_model="numpy")
def wilder(moves, ends, window, period, rising, change, vol_of_vol):  # type: ignore[no-untyped-def]
    """Return Wilder's ADX and ATR and what is read from their last bars.

    Parameters
    ----------
    moves : ndarray of float64, shape (3, n)
        From `directional_moves`.
    ends : ndarray of int64, shape (k,)
        Row of each window's newest bar.
    window, period, rising, change, vol_of_vol : int
        Bars.

    Returns
    -------
    ndarray of float64, shape (7, k)
        ADX, ADX rose over each of the last `rising` bars (0 or 1), change of ADX over `change` bars, sign of
        +DI less -DI, ATR in ticks, |change of ln ATR| over `change` bars, standard deviation of the changes of ln ATR
        over `vol_of_vol` bars. An ATR below one tick counts as one tick inside a logarithm.
    """
    out = np.empty((7, ends.size))
    adx, atr = np.zeros(window), np.zeros(window)
    last = window - 1
    for k in range(ends.size):
        rows = slice(ends[k] - window + 1, ends[k] + 1)
        difference = _adx_window(moves[0, rows], moves[1, rows], period, adx)
        _atr_window(moves[2, rows], period, atr)
        rose = True
        for i in range(last - rising + 1, last + 1):
            rose = rose and adx[i] > adx[i - 1]
        out[0, k], out[1, k], out[2, k] = adx[last], rose, adx[last] - adx[last - change]
        out[3, k], out[4, k] = np.sign(difference), atr[last]
        out[5, k] = abs(math.log(max(atr[last], 1.0)) - math.log(max(atr[last - change], 1.0)))
        out[6, k] = _change_spread(atr, vol_of_vol)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def slope_t(log_close, ends, bars, lags):  # type: ignore[no-untyped-def]
    """Return the t-statistic of the OLS slope of log close on time with Newey-West errors; float64, shape (k,).

    Bartlett weights over `lags` lags, no small-sample correction. A flat window has t = 0; an exact line is capped
    at 1,000.
    """
    out = np.empty(ends.size)
    score = np.empty(bars)
    middle = (bars - 1) / 2.0
    sxx = bars * (bars * bars - 1.0) / 12.0
    for k in range(ends.size):
        first = ends[k] - bars + 1
        base = log_close[first]
        mean, sxy = 0.0, 0.0
        for i in range(bars):
            y = log_close[first + i] - base
            mean += y
            sxy += (i - middle) * y
        mean /= bars
        slope = sxy / sxx
        variance = 0.0
        for i in range(bars):
            x = i - middle
            score[i] = x * (log_close[first + i] - base - mean - slope * x)
            variance += score[i] * score[i]
        for lag in range(1, lags + 1):
            product = 0.0
            for i in range(lag, bars):
                product += score[i] * score[i - lag]
            variance += 2.0 * (1.0 - lag / (lags + 1.0)) * product
        if slope == 0.0:
            out[k] = 0.0
        else:
            t = slope * sxx / math.sqrt(max(variance, 1e-30))
            out[k] = min(1000.0, max(-1000.0, t))
    return out


@njit(cache=True, nogil=True)
def channel_extremes(high, low, ends, bars):  # type: ignore[no-untyped-def]
    """Return lowest low and highest high of the `bars` bars before each end; int64 ticks, shape (2, k)."""
    out = np.empty((2, ends.size), dtype=np.int64)
    for k in range(ends.size):
        lowest, highest = low[ends[k] - bars], high[ends[k] - bars]
        for row in range(ends[k] - bars + 1, ends[k]):
            lowest = min(lowest, low[row])
            highest = max(highest, high[row])
        out[0, k], out[1, k] = lowest, highest
    return out


@njit(cache=True, nogil=True)
def bars_since_extreme(high, low, ends, bars):  # type: ignore[no-untyped-def]
    """Return bars since the newest bar beyond the high or low of the `bars` bars before it; float64, shape (k,).

    The search ends after `bars` bars: `bars` means none found.
    """
    out = np.empty(ends.size)
    for k in range(ends.size):
        age = 0
        while age < bars:
            row = ends[k] - age
            lowest, highest = low[row - bars], high[row - bars]
            for j in range(row - bars + 1, row):
                lowest = min(lowest, low[j])
                highest = max(highest, high[j])
            if high[row] > highest or low[row] < lowest:
                break
            age += 1
        out[k] = age
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def variance_ratio_z(log_close, ends, bars, q):  # type: ignore[no-untyped-def]
    """Return the Lo-MacKinlay statistic z* of each window; float64, shape (k,).

    Overlapping, debiased, robust to heteroskedasticity. Windows without two neighbouring moves have z = 0.
    """
    out = np.empty(ends.size)
    squares = np.empty(bars)
    debias = bars * q / (q * (bars - q + 1) * (1.0 - q / bars))
    for k in range(ends.size):
        first = ends[k] - bars
        mean = (log_close[ends[k]] - log_close[first]) / bars
        total, long_total = 0.0, 0.0
        for i in range(bars):
            move = log_close[first + i + 1] - log_close[first + i] - mean
            squares[i] = move * move
            total += squares[i]
        for i in range(bars - q + 1):
            move = log_close[first + i + q] - log_close[first + i] - q * mean
            long_total += move * move
        theta = 0.0
        for lag in range(1, q):
            product = 0.0
            for i in range(lag, bars):
                product += squares[i] * squares[i - lag]
            weight = 1.0 - lag / q
            theta += 4.0 * weight * weight * product
        if theta == 0.0:
            out[k] = 0.0
        else:
            ratio = long_total / (bars * q) * debias / (total / (bars - 1))
            out[k] = math.sqrt(bars) * (ratio - 1.0) / math.sqrt(bars * theta / (total * total))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def mean_reversion(log_close, ends, bars):  # type: ignore[no-untyped-def]
    """Return t-statistic and half-life of the regression of log returns on the log close before; shape (2, k).

    Half-life is -ln 2 / lambda in bars, NaN where lambda >= 0. A flat window has t = 0 and no half-life.
    """
    out = np.empty((2, ends.size))
    for k in range(ends.size):
        first = ends[k] - bars
        base = log_close[first]
        x_mean = 0.0
        for i in range(bars):
            x_mean += log_close[first + i] - base
        x_mean /= bars
        y_mean = (log_close[ends[k]] - base) / bars
        sxx, sxy, syy = 0.0, 0.0, 0.0
        for i in range(bars):
            x = log_close[first + i] - base - x_mean
            y = log_close[first + i + 1] - log_close[first + i] - y_mean
            sxx += x * x
            sxy += x * y
            syy += y * y
        out[0, k], out[1, k] = 0.0, np.nan
        if sxx > 0.0 and syy > 0.0:
            rate = sxy / sxx
            error = max((syy - rate * sxy) / (bars - 2), 1e-30)
            out[0, k] = rate / math.sqrt(error / sxx)
            if rate < 0.0:
                out[1, k] = -math.log(2.0) / rate
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def autocorrelation(log_close, ends, bars):  # type: ignore[no-untyped-def]
    """Return the lag-1 autocorrelation (biased form) of each window's log returns; float64, shape (k,); flat is 0."""
    out = np.empty(ends.size)
    for k in range(ends.size):
        first = ends[k] - bars
        mean = (log_close[ends[k]] - log_close[first]) / bars
        total, product, before = 0.0, 0.0, 0.0
        for i in range(bars):
            move = log_close[first + i + 1] - log_close[first + i] - mean
            total += move * move
            product += move * before
            before = move
        out[k] = product / total if total > 0.0 else 0.0
    return out


@njit(cache=True, nogil=True)
def _slide(ordered, leaving, entering):  # type: ignore[no-untyped-def]
    """Replace one value of an ascending array by another, keeping the order."""
    place = np.searchsorted(ordered, leaving)
    while place + 1 < ordered.size and ordered[place + 1] < entering:
        ordered[place] = ordered[place + 1]
        place += 1
    while place > 0 and ordered[place - 1] > entering:
        ordered[place] = ordered[place - 1]
        place -= 1
    ordered[place] = entering


@njit(cache=True, nogil=True)
def sorted_closes(close, ends, bars):  # type: ignore[no-untyped-def]
    """Return each window's closes in ascending order; int64 ticks, shape (k, bars)."""
    out = np.empty((ends.size, bars), dtype=np.int64)
    for k in range(ends.size):
        step = ends[k] - ends[k - 1] if k else bars
        if step < bars:
            out[k] = out[k - 1]
            for row in range(ends[k - 1] + 1, ends[k] + 1):
                _slide(out[k], close[row - bars], close[row])
        else:
            out[k] = np.sort(close[ends[k] - bars + 1 : ends[k] + 1])
    return out


@njit(cache=True, nogil=True)
def crossings(close, ends, bars, twice_level):  # type: ignore[no-untyped-def]
    """Return how often the closes cross a level; float64, shape (k,). A close on the level has no side.

    Parameters
    ----------
    twice_level : ndarray of int64, shape (k,)
        Two times each window's level, so that a level between two ticks is exact.
    """
    out = np.empty(ends.size)
    for k in range(ends.size):
        count, side = 0, 0
        for row in range(ends[k] - bars + 1, ends[k] + 1):
            now = np.sign(2 * close[row] - twice_level[k])
            count += now * side < 0
            side = now if now != 0 else side
        out[k] = count
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def log_volatility(variance, close, ends, short, long):  # type: ignore[no-untyped-def]
    """Return ln of realised volatility per bar of the last `short` bars, and that less the one of the last `long`.

    Both float64, shape (k,). To each mean variance the rounding noise of a price in whole ticks is added,
    1 / (12 close^2), so that a window without moves has a volatility.
    """
    level, ratio = np.empty(ends.size), np.empty(ends.size)
    for k in range(ends.size):
        total = 0.0
        for row in range(ends[k] - long + 1, ends[k] - short + 1):
            total += variance[row]
        recent = 0.0
        for row in range(ends[k] - short + 1, ends[k] + 1):
            recent += variance[row]
        rounding = 1.0 / (12.0 * close[ends[k]] * close[ends[k]])
        level[k] = 0.5 * math.log(recent / short + rounding)
        ratio[k] = level[k] - 0.5 * math.log((total + recent) / long + rounding)
    return level, ratio


@njit(cache=True, nogil=True)
def _neighbours(ends, first, most):  # type: ignore[no-untyped-def]
    """Return how many windows from `first` on, at most `most`, end one row after the other."""
    count = 1
    while count < most and first + count < ends.size and ends[first + count] == ends[first] + count:
        count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def generalised_hurst(log_close, ends, bars, lags):  # type: ignore[no-untyped-def]
    """Return the generalised Hurst exponent (q = 2) over lags 1..`lags`; float64, shape (k,), NaN where flat.

    Each window is summed by itself, from its first bar to its last; neighbouring windows take each step together, so
    that the processor adds several at once.
    """
    out = np.empty(ends.size)
    moments = np.empty((lags, _TOGETHER))
    first = 0
    while first < ends.size:
        count = _neighbours(ends, first, _TOGETHER)
        moments[:] = 0.0
        for j in range(lags):
            sums = moments[j, :count]
            for start in range(ends[first] - bars, ends[first] - j):
                before, after = log_close[start : start + count], log_close[start + j + 1 : start + j + 1 + count]
                for c in range(sums.size):
                    sums[c] += (after[c] - before[c]) * (after[c] - before[c])
        for c in range(count):
            out[first + c] = np.nan
            if moments[:, c].min() > 0.0:
                sx, sy, sxx, sxy = 0.0, 0.0, 0.0, 0.0
                for j in range(lags):
                    x, y = math.log(j + 1.0), math.log(moments[j, c] / (bars - j))
                    sx, sy, sxx, sxy = sx + x, sy + y, sxx + x * x, sxy + x * y
                out[first + c] = 0.5 * (lags * sxy - sx * sy) / (lags * sxx - sx * sx)
        first += count
    return out
