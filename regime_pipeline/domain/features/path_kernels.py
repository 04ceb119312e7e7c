"""Compiled sums over the closes of a window, for `path`; each is started inside its own window."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_LEAST_SPREAD = -3.0


@njit(cache=True, nogil=True, error_model="numpy")
def drift_and_spread(log_close, ends, bars):  # type: ignore[no-untyped-def]
    """Return |net move| and ln(spread) of the last `bars` returns over the root of their squares; shape (2, k)."""
    out = np.empty((2, ends.size))
    for k in range(ends.size):
        first = ends[k] - bars
        base = log_close[first]
        squares, lowest, highest = 0.0, 0.0, 0.0
        for row in range(first + 1, ends[k] + 1):
            move = log_close[row] - log_close[row - 1]
            squares += move * move
            lowest, highest = min(lowest, log_close[row] - base), max(highest, log_close[row] - base)
        out[0, k], out[1, k] = 0.0, _LEAST_SPREAD
        if squares > 0.0:
            root = math.sqrt(squares)
            out[0, k] = abs(log_close[ends[k]] - base) / root
            out[1, k] = max(_LEAST_SPREAD, math.log((highest - lowest) / root))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def faded_volatility(log_close, close, ends, bars, fade):  # type: ignore[no-untyped-def]
    """Return ln of the volatility per bar, exponentially weighted and plain, over the last `bars` returns; (2, k)."""
    out = np.empty((2, ends.size))
    for k in range(ends.size):
        faded, plain, weight = 0.0, 0.0, 0.0
        for row in range(ends[k] - bars + 1, ends[k] + 1):
            move = log_close[row] - log_close[row - 1]
            faded = fade * faded + move * move
            weight = fade * weight + 1.0
            plain += move * move
        rounding = 1.0 / (12.0 * close[ends[k]] * close[ends[k]])
        out[0, k] = 0.5 * math.log(faded / weight + rounding)
        out[1, k] = 0.5 * math.log(plain / bars + rounding)
    return out
