"""The compiled replay of `posterior_rules`; each place is replayed from a cold start, so there is no hidden state."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def _settled(probabilities, proposed, enters_ok, keeps_ok, margin):  # type: ignore[no-untyped-def]
    """Where the state is that of a cold start, whatever was held before: a replay may begin there; bool, shape (d,).

    One class leads both others by the margin, no other is proposed, and RANGE_OK begins, ends or is out of question.
    """
    out = np.empty(proposed.size, dtype=np.bool_)
    for place in range(proposed.size):
        p = probabilities[:, place]
        largest = int(np.argmax(p))
        leads = True
        for other in range(p.size):
            leads = leads and (other == largest or p[largest] - p[other] >= margin)
        is_alone = proposed[place] < 0 or proposed[place] == largest
        is_certain = largest != 0 or enters_ok[place] or not keeps_ok[place]
        out[place] = p[0] != p[0] or (leads and is_alone and is_certain)
    return out


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
    is_settled = _settled(probabilities, proposed, enters_ok, keeps_ok, margin)
    for k in range(at.size):
        held, is_ok = -1, False
        first, oldest = at[k], max(0, at[k] - window + 1)
        while first > oldest and not is_settled[first]:
            first -= 1
        for place in range(first, at[k] + 1):
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
