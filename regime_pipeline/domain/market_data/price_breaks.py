"""Breaks of a series: gaps after which the price is so far off that another asset trades under the same name.

Ranks stop at a break; windows of bars end at every gap anyway.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.window import Int64


def series_breaks(close: Float64, factor: float) -> Int64:
    """Return the places of the first observation behind each break.

    Parameters
    ----------
    close : ndarray of float64, shape (d,)
        Closes on an unbroken calendar, quote currency; NaN where there is no observation.
    factor : float
        Above 1: a close behind a hole that is more than so many times the one before it, or less than one over so
        many times, is a break.

    Returns
    -------
    ndarray of int64, shape (b,)
        Ascending. A function of the two closes around a hole alone, so neither end of the calendar matters.
    """
    known = np.flatnonzero(~np.isnan(close))
    before, behind = known[:-1], known[1:]
    is_far = (close[behind] > factor * close[before]) | (close[before] > factor * close[behind])
    return np.asarray(behind[(behind - before > 1) & is_far], dtype=np.int64)


def trailing_starts(at: Int64, window: int, breaks: Int64) -> Int64:
    """Return where each place's trailing window begins: `window` places back, and never before the newest break.

    Parameters
    ----------
    at : ndarray of int64, shape (k,)
        Places on a calendar.
    window : int
        Places looked back over at most.
    breaks : ndarray of int64, shape (b,)
        From `series_breaks`.
    """
    floor = np.concatenate(([0], breaks))[np.searchsorted(breaks, at, side="right")]
    return np.asarray(np.maximum(at - window, floor), dtype=np.int64)
