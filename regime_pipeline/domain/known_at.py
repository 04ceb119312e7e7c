"""From when on a row may be used: the close of the bar or hour it describes, the one rule behind every `known_at`.

A row of an hour depends on bars that are due by the hour's close, whatever its timeframe, so nothing in it can be known
sooner. See `market_data.window` for hours and bars.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64

Times = TypeVar("Times", int, Int64)
"""One time or an array of them, epoch milliseconds UTC."""


def hour_known_at(hour_start_ms: Times) -> Times:
    """Return the close of each hour, from its start: when rows of features, scores, verdicts and advice are known."""
    return hour_start_ms + HOUR_MS


def bar_known_at(market: Market, open_time_ms: Times) -> Times:
    """Return the close of each bar, from its open time: when its candle regime is known."""
    return open_time_ms + market.step_ms


def newest_known(known_at_ms: Int64, moments_ms: Int64) -> Int64:
    """Return the newest row known at each moment.

    Parameters
    ----------
    known_at_ms : ndarray of int64, shape (n,)
        Ascending, epoch milliseconds UTC. Of rows known at the same time the last one counts.
    moments_ms : ndarray of int64, shape (m,)
        In any order.

    Returns
    -------
    ndarray of int64, shape (m,)
        Places among the rows; -1 where none is known yet.
    """
    return np.searchsorted(known_at_ms, moments_ms, side="right") - 1
