"""The compiled replay of `posterior_rules`; each place is replayed from a cold start, so there is no hidden state."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def hold_by_posterior(probabilities, proposed, enters_ok, keeps_ok, at, window, margin):  # type: ignore[no-untyped-def]
    """Return class and RANGE_OK state at each place; int8, shape (2, k), class -1 where it is unknown.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (3, d)
        Of RANGE, TREND and VOLATILE; NaN where unknown.
    proposed : ndarray of int8, shape (d,)
        Class that the bounds of the scores propose, -1 where they propose none.
    enters_ok, keeps_ok : ndarray of bool, shape (d,)
        Whether a range may become, or stay, RANGE_OK.
    at : ndarray of int64, shape (k,)
        Places to decide.
    window : int
        Observations of the replay, the newest included.
    margin : float
        Lead over the held class's probability that a change needs; the proposed class is asked first.
    """
    out = np.empty((2, at.size), dtype=np.int8)
    for k in range(at.size):
        held, is_ok = -1, False
        for place in range(max(0, at[k] - window + 1), at[k] + 1):
            p = probabilities[:, place]
            if p[0] != p[0]:
                held, is_ok = -1, False
                continue
            largest = int(np.argmax(p))
            if held < 0:
                held = largest
            elif proposed[place] >= 0 and p[proposed[place]] - p[held] >= margin:
                held = int(proposed[place])
            elif p[largest] - p[held] >= margin:
                held = largest
            is_ok = held == 0 and (enters_ok[place] or (is_ok and keeps_ok[place]))
        out[0, k], out[1, k] = held, is_ok
    return out
