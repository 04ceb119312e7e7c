"""Compiled loops over trailing observations: ranks, hysteresis and softmax weights.

Each value depends on its own trailing window alone. See `ranks` and `verdicts` for bounds and meanings.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def trailing_ranks(values, at, first):  # type: ignore[no-untyped-def]
    """Return the mid-rank of each observation among the places from `first` on strictly before it.

    Parameters
    ----------
    values : ndarray of float64, shape (f, d)
        Features over the calendar, NaN where there is no observation.
    at : ndarray of int64, shape (k,)
        Places to rank.
    first : ndarray of int64, shape (k,)
        Where the places looked back over begin.

    Returns
    -------
    ndarray of float64, shape (f, k)
        `(less + equal / 2) / present`, 0..1; NaN where nothing is present or the value itself is NaN.
    ndarray of int64, shape (k,)
        Present observations of the first feature.
    """
    out = np.full((values.shape[0], at.size), np.nan)
    counts = np.zeros(at.size, dtype=np.int64)
    for k in range(at.size):
        for f in range(values.shape[0]):
            row, value = values[f], values[f, at[k]]
            less, equal, present = 0, 0, 0
            for j in range(first[k], at[k]):
                less += row[j] < value
                equal += row[j] == value
                present += row[j] == row[j]
            if f == 0:
                counts[k] = present
            if present and value == value:
                out[f, k] = (less + 0.5 * equal) / present
    return out, counts


@njit(cache=True, nogil=True, error_model="numpy")
def trailing_means(values, at, first):  # type: ignore[no-untyped-def]
    """Return the mean of the present values from `first` on strictly before each place; float64, shape (k,).

    Summed afresh for each place, so that it does not depend on where the series begins; NaN where none is present.
    """
    out = np.empty(at.size)
    for k in range(at.size):
        total, present = 0.0, 0
        for j in range(first[k], at[k]):
            if values[j] == values[j]:
                total += values[j]
                present += 1
        out[k] = total / present
    return out


@njit(cache=True, nogil=True)
def hold_verdicts(instant, stays, at, window, confirm, unknown):  # type: ignore[no-untyped-def]
    """Return the verdict after hysteresis at each place, replayed from a cold start `window` places long.

    Parameters
    ----------
    instant : ndarray of int8, shape (d,)
        Verdict of each observation on its own.
    stays : ndarray of bool, shape (v, d)
        Whether a held verdict v would be kept rather than left for the instant one.
    at : ndarray of int64, shape (k,)
        Places to decide.
    window : int
        Observations of the replay, the newest included.
    confirm : ndarray of int64, shape (v,)
        Observations in a row that a new verdict needs.
    unknown : int
        Code of no verdict: it is taken at once, and the verdict after it too.

    Returns
    -------
    ndarray of int8, shape (k,)
    """
    out = np.empty(at.size, dtype=np.int8)
    for k in range(at.size):
        held, pending, streak = unknown, unknown, 0
        for place in range(max(0, at[k] - window + 1), at[k] + 1):
            now = instant[place]
            if held == unknown or now == unknown:
                held, streak = now, 0
            elif now == held or stays[held, place]:
                streak = 0
            else:
                streak = streak + 1 if now == pending and streak else 1
                pending = now
                if streak >= confirm[now]:
                    held, streak = now, 0
        out[k] = held
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def softmax(utilities, temperature):  # type: ignore[no-untyped-def]
    """Return weights proportional to exp(utility / temperature), summing to one over the first axis.

    A column with a NaN is NaN throughout, the same NaN: which sign arithmetic leaves depends on how numpy cut the
    vectors before, and rows are compared byte by byte.
    """
    out = np.empty(utilities.shape)
    for k in range(utilities.shape[1]):
        if np.isnan(utilities[:, k]).any():
            out[:, k] = np.nan
            continue
        highest = utilities[:, k].max()
        total = 0.0
        for v in range(utilities.shape[0]):
            out[v, k] = math.exp((utilities[v, k] - highest) / temperature)
            total += out[v, k]
        for v in range(utilities.shape[0]):
            out[v, k] /= total
    return out
