"""Holes that a window may have: which of them restart a series, and which windows are whole enough to be computed.

Nothing is filled: a window is computed over the bars that are there and reaches back so many bars further.
Candle regimes read their history so (`domain.candle_regimes`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.policy import HolesPolicy


def run_starts(candles: Candles, holes: HolesPolicy) -> Int64:
    """Return for each candle the row where its history begins; int64, shape (n,).

    Notes
    -----
    History begins again behind a hole of more than `longest_bars`, and behind any hole across which the close moved by
    more than `break_price_factor`. Whether it does is a function of the two candles around the hole alone.
    """
    starts = np.zeros(len(candles), dtype=np.int64)
    behind = np.flatnonzero(np.diff(candles.open_time_ms) > candles.market.step_ms) + 1
    if not len(behind):
        return starts
    absent = (candles.open_time_ms[behind] - candles.open_time_ms[behind - 1]) // candles.market.step_ms - 1
    before, after = candles.close[behind - 1].astype(np.float64), candles.close[behind].astype(np.float64)
    is_far = (after > holes.break_price_factor * before) | (before > holes.break_price_factor * after)
    restarts = behind[(absent > holes.longest_bars) | is_far]
    starts[restarts] = restarts
    return np.asarray(np.maximum.accumulate(starts), dtype=np.int64)


def has_history(bar: Int64, starts: Int64, bars: int, holes: HolesPolicy) -> NDArray[np.bool_]:
    """Return for each candle whether `bars` candles up to it make a window that may be computed; bool, shape (n,).

    Parameters
    ----------
    bar, starts : ndarray of int64, shape (n,)
        Numbers of the candles on the calendar, and where the history of each begins, from `run_starts`.
    bars : int
        Candles of the window.
    holes : HolesPolicy
        How many of the bars that the window spans may be absent; the newest ones must all be there.
    """
    row = np.arange(len(bar))
    is_long = row - starts >= bars - 1
    if not len(bar) or bar[-1] - bar[0] == len(bar) - 1:  # nothing is absent: most series, and much the quickest
        return np.asarray(is_long)
    oldest, newest = (np.maximum(row - count + 1, 0) for count in (bars, min(holes.newest_whole_bars, bars)))
    is_newest_there = absent_between(bar, newest, row) == 0
    return np.asarray(is_long & is_newest_there & (absent_between(bar, oldest, row) <= holes.tolerated(bars)))


def absent_between(bar: Int64, first: Int64, last: Int64) -> Int64:
    """Return how many bars are absent between pairs of candles; int64, shape (k,).

    Parameters
    ----------
    bar : ndarray of int64, shape (n,)
        Numbers of the candles on the calendar, ascending.
    first, last : ndarray of int64, shape (k,)
        Rows; no `last` is before its `first`.
    """
    return np.asarray(bar[last] - bar[first] - (last - first), dtype=np.int64)
