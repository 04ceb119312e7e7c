"""Compiled recursions of the simulated markets; every shock is passed in, so these are pure arithmetic.

See `regimes` and `market` for random numbers, labels and candles.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def autoregression(shocks, persistence):  # type: ignore[no-untyped-def]
    """Return a stationary AR(1) with unit variance from standard normal shocks; float64, same shape."""
    values = np.empty(shocks.size)
    innovation = np.sqrt(1.0 - persistence * persistence)
    value = 0.0
    for row in range(shocks.size):
        value = shocks[row] if row == 0 else persistence * value + innovation * shocks[row]
        values[row] = value
    return values


@njit(cache=True, nogil=True)
def log_path(shocks, drift, reversion, is_spell_start):  # type: ignore[no-untyped-def]
    """Return a log-price path that starts at zero and reverts to where each spell began; float64, shape (n + 1,).

    Parameters
    ----------
    shocks, drift : ndarray of float64, shape (n,)
        Random and certain part of each log return.
    reversion : ndarray of float64, shape (n,)
        Share of the distance to the spell's first price that is undone per step; 0 for a free walk.
    is_spell_start : ndarray of bool, shape (n,)
        Where a new spell begins.
    """
    path = np.empty(shocks.size + 1)
    path[0] = 0.0
    center = 0.0
    for row in range(shocks.size):
        if is_spell_start[row]:
            center = path[row]
        path[row + 1] = path[row] + drift[row] - reversion[row] * (path[row] - center) + shocks[row]
    return path
