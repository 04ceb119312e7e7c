"""Compiled loops of range discovery and of the evidence at a range's edges; prices in ticks.

Every value depends on the bars of its own window alone. See `methods` for windows and widths.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _heaviest_cluster(prices, count, reach, outer_sign):  # type: ignore[no-untyped-def]
    """Return size and mean of the largest cluster of sorted prices; of equal ones the outer one wins."""
    best_size, best_mean, first = 0, 0.0, 0
    for i in range(1, count + 1):
        if i == count or prices[i] - prices[i - 1] > reach:
            size = i - first
            mean = prices[first:i].mean()
            if size > best_size or (size == best_size and (mean - best_mean) * outer_sign > 0.0):
                best_size, best_mean = size, mean
            first = i
    return best_size, best_mean


@njit(cache=True, nogil=True)
def _pivots(high, low, first, end, side):  # type: ignore[no-untyped-def]
    """Return which of the rows `first` to `end` are swing highs and which swing lows; bool, shape (n,) each."""
    is_high, is_low = np.zeros(high.size, np.bool_), np.zeros(high.size, np.bool_)
    for row in range(first, end):
        top, bottom = True, True
        for j in range(1, side + 1):
            top = top and high[row] > high[row - j] and high[row] >= high[row + j]
            bottom = bottom and low[row] < low[row - j] and low[row] <= low[row + j]
        is_high[row], is_low[row] = top, bottom
    return is_high, is_low


@njit(cache=True, nogil=True)
def pivot_band(high, low, ends, atr, bars, side, cluster_atr, min_count):  # type: ignore[no-untyped-def]
    """Return the heaviest cluster of swing lows and of swing highs; float64, shape (2, k), NaN where there is none.

    A pivot stands out from `side` bars on both sides and is therefore known `side` bars later; of equal highs the
    first is the pivot. Neighbouring pivots no more than `cluster_atr` ATR apart belong together.
    """
    out = np.full((2, ends.size), np.nan)
    if not ends.size:
        return out
    is_high, is_low = _pivots(high, low, ends.min() - bars + 1 + side, ends.max() - side + 1, side)
    highs, lows = np.empty(bars), np.empty(bars)
    for k in range(ends.size):
        high_count, low_count = 0, 0
        for row in range(ends[k] - bars + 1 + side, ends[k] - side + 1):
            if is_high[row]:
                highs[high_count] = high[row]
                high_count += 1
            if is_low[row]:
                lows[low_count] = low[row]
                low_count += 1
        highs[:high_count].sort()
        lows[:low_count].sort()
        reach = cluster_atr * atr[k]
        low_size, lower = _heaviest_cluster(lows, low_count, reach, -1.0)
        high_size, upper = _heaviest_cluster(highs, high_count, reach, 1.0)
        if low_size >= min_count and high_size >= min_count:
            out[0, k], out[1, k] = lower, upper
    return out


@njit(cache=True, nogil=True)
def value_area(high, low, volume, ends, bin_ticks, bars, share):  # type: ignore[no-untyped-def]
    """Return the edges of the value area of each window's volume profile; float64, shape (2, k), NaN without volume.

    Bins are multiples of `bin_ticks` from price zero; a bar's volume is spread evenly over the bins it touches. The
    area grows from the bin with the most volume, the lower of equals, by its heavier neighbour, the lower of equals.
    """
    out = np.full((2, ends.size), np.nan)
    for k in range(ends.size):
        width, first = bin_ticks[k], ends[k] - bars + 1
        bottom = low[first : ends[k] + 1].min() // width
        top = high[first : ends[k] + 1].max() // width
        profile = np.zeros(top - bottom + 1)
        total = 0.0
        for row in range(first, ends[k] + 1):
            lowest, highest = low[row] // width - bottom, high[row] // width - bottom
            part = volume[row] / (highest - lowest + 1)
            total += volume[row]
            for j in range(lowest, highest + 1):
                profile[j] += part
        if total <= 0.0:
            continue
        lower = upper = np.argmax(profile)
        inside = profile[lower]
        while inside < share * total and (lower > 0 or upper < profile.size - 1):
            below = profile[lower - 1] if lower > 0 else -1.0
            above = profile[upper + 1] if upper < profile.size - 1 else -1.0
            if below >= above:
                lower -= 1
            else:
                upper += 1
            inside += max(below, above)
        out[0, k], out[1, k] = (bottom + lower) * width, (bottom + upper + 1) * width
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def consensus(lower, upper):  # type: ignore[no-untyped-def]
    """Return methods that returned, median lower edge, median upper edge and mean pairwise IoU; shape (4, k).

    Parameters
    ----------
    lower, upper : ndarray of float64, shape (m, k)
        Edges by method; NaN where a method did not return.
    """
    methods, rows = lower.shape
    out = np.full((4, rows), np.nan)
    lows, highs = np.empty(methods), np.empty(methods)
    for k in range(rows):
        count = 0
        for m in range(methods):
            if lower[m, k] < upper[m, k]:
                lows[count], highs[count] = lower[m, k], upper[m, k]
                count += 1
        total, pairs = 0.0, 0
        for i in range(count):
            for j in range(i):
                shared = max(0.0, min(highs[i], highs[j]) - max(lows[i], lows[j]))
                total += shared / (highs[i] - lows[i] + highs[j] - lows[j] - shared)
                pairs += 1
        out[0, k] = count
        if count:
            out[1, k], out[2, k] = np.median(lows[:count]), np.median(highs[:count])
        if pairs:
            out[3, k] = total / pairs
    return out


@njit(cache=True, nogil=True)
def _count_touches(high, low, close, bottom, top, near, far):  # type: ignore[no-untyped-def]
    """Return touches of the lower edge, touches of the upper edge and traversals between them."""
    low_touches, high_touches, traversals, zone = 0, 0, 0, 0
    is_low_armed, is_high_armed = True, True
    for row in range(close.size):
        at_low = low[row] <= bottom + near and close[row] >= bottom - near
        at_high = high[row] >= top - near and close[row] <= top + near
        low_touches += at_low and is_low_armed
        high_touches += at_high and is_high_armed
        is_low_armed = (is_low_armed and not at_low) or low[row] > bottom + far
        is_high_armed = (is_high_armed and not at_high) or high[row] < top - far
        now = int(at_high) - int(at_low)
        if now != 0:
            traversals += zone == -now
            zone = now
    return low_touches, high_touches, traversals


@njit(cache=True, nogil=True)
def _judge_breakouts(close, bottom, top, reentry):  # type: ignore[no-untyped-def]
    """Return closes inside, closes outside that can be judged, and those of them that came back in time."""
    inside, judged, failed = 0, 0, 0
    next_inside = close.size + reentry
    for row in range(close.size - 1, -1, -1):
        if bottom <= close[row] <= top:
            inside += 1
            next_inside = row
            continue
        has_failed = next_inside - row <= reentry
        failed += has_failed
        judged += has_failed or row + reentry < close.size
    return inside, judged, failed


@njit(cache=True, nogil=True, error_model="numpy")
def edge_evidence(high, low, close, ends, lower, upper, atr, bars, touch, leave, reentry):  # type: ignore[no-untyped-def]
    """Return what the last `bars` bars did at the edges; float64, shape (5, k), NaN where there is no range.

    Parameters
    ----------
    lower, upper, atr : ndarray of float64, shape (k,)
        Edges and ATR of each window, ticks.
    touch, leave : float
        A bar touches an edge within `touch` ATR unless it closes beyond by more; the next touch counts after a bar
        that stayed `leave` ATR inside.
    reentry : int
        A close outside has failed if one of the next `reentry` closes is inside; it is judged once it has failed or
        these bars have passed.

    Returns
    -------
    ndarray
        Containment, touches of the lower and of the upper edge, traversals (a bar that touches both edges makes
        none), share of failed breakouts (NaN if no close outside can be judged).
    """
    out = np.full((5, ends.size), np.nan)
    for k in range(ends.size):
        bottom, top = lower[k], upper[k]
        if bottom < top:
            rows = slice(ends[k] - bars + 1, ends[k] + 1)
            inside, judged, failed = _judge_breakouts(close[rows], bottom, top, reentry)
            low_touches, high_touches, traversals = _count_touches(
                high[rows], low[rows], close[rows], bottom, top, touch * atr[k], leave * atr[k]
            )
            out[0, k] = inside / bars
            out[1, k], out[2, k], out[3, k] = low_touches, high_touches, traversals
            if judged:
                out[4, k] = failed / judged
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def deviation_band(close, ends, bars, width):  # type: ignore[no-untyped-def]
    """Return mean minus and plus `width` population standard deviations of each window's closes; shape (2, k)."""
    out = np.empty((2, ends.size))
    for k in range(ends.size):
        first = ends[k] - bars + 1
        base = close[first]
        total, squares = 0.0, 0.0
        for row in range(first, ends[k] + 1):
            move = float(close[row] - base)
            total += move
            squares += move * move
        mean = total / bars
        reach = width * np.sqrt(max(0.0, squares / bars - mean * mean))
        out[0, k], out[1, k] = base + mean - reach, base + mean + reach
    return out
