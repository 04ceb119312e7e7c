"""Hourly verdicts as of one moment: stored rows, which of them are current, and the candles to compute the others from.

Everything is read in one transaction. See `domain.verdicts` for how verdicts are decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.sorted_times import is_in
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.storage.bulk.columns import bulk_table
from regime_pipeline.storage.bulk.regime_reads import candles_of, recorded_hours, valid_hours
from regime_pipeline.storage.bulk.statements import ONE_MOMENT, read_arrays
from regime_pipeline.storage.pool import Cursor
from regime_pipeline.storage.series_and_runs import Series

TABLES = ("features", "scores", "regime_verdicts")
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class StoredVerdicts:
    """The hours of a window for which candles are recorded.

    Parameters
    ----------
    hours : ndarray of int64, shape (n,)
        Starts, epoch milliseconds UTC, ascending.
    is_current : ndarray of bool, shape (n,)
        Rows of all three tables are stored, of the wanted policy, and no correction has made them stale.
    rows : dict of str to columns
        Stored rows of `TABLES`, those of the current hours alone, in order.
    candles : Candles or None
        Candles of the other hours and of the reach before them; None where every hour is current.
    """

    hours: Int64
    is_current: NDArray[np.bool_]
    rows: dict[str, Columns]
    candles: Candles | None


def read_verdicts(
    cursor: Cursor, series: Series, market: Market, window: Window, config_hash: str, reach_hours: int
) -> StoredVerdicts:
    """Read the verdicts of a window, in the transaction of the cursor.

    Parameters
    ----------
    config_hash : str
        Hash of the policy that stored verdicts must have been made with.
    reach_hours : int
        How far back a verdict depends on candles.
    """
    cursor.execute(ONE_MOMENT)
    known = recorded_hours(cursor, "candle_hours", series, window).is_recorded
    recorded = recorded_hours(cursor, "regime_verdicts", series, window)
    holds = valid_hours(cursor, series, "regime_verdicts", recorded, config_hash)
    hours = window.hours[known]
    stored = {
        name: read_arrays(cursor, bulk_table(name), series.series_id, *_bounds(window), bulk_table(name).names)
        for name in TABLES
    }
    is_current = holds[known]
    for table in stored.values():
        is_current &= is_in(hours, table["hour_start"])
    rows = {name: _only(table, hours[is_current]) for name, table in stored.items()}
    return StoredVerdicts(hours, is_current, rows, _candles(cursor, series, market, hours[~is_current], reach_hours))


def _bounds(window: Window) -> tuple[int, int]:
    return window.start_ms, window.end_ms


def _only(rows: Columns, hours: Int64) -> Columns:
    keep = is_in(rows["hour_start"], hours)
    return {name: column[keep] for name, column in rows.items()}


def _candles(cursor: Cursor, series: Series, market: Market, hours: Int64, reach_hours: int) -> Candles | None:
    """Candles that the verdicts of some hours depend on; None for no hours."""
    if not len(hours):
        return None
    start = int(hours[0]) - reach_hours * HOUR_MS - market.observation_ms
    return candles_of(cursor, series, market, start, int(hours[-1]) + HOUR_MS)
