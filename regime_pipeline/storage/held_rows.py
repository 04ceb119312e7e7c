"""Which stored hours still hold: written under the wanted configuration, and not made stale by a correction since.

To be used inside one transaction that sees one moment; what is read besides belongs to the callers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.market import Market
from regime_pipeline.domain.window import Int64, Window
from regime_pipeline.storage.bulk_io import epoch_ms, read_arrays
from regime_pipeline.storage.bulk_tables import CANDLES
from regime_pipeline.storage.catalog import Series
from regime_pipeline.storage.engine import Cursor
from regime_pipeline.storage.ledger import Recorded, read_days, whole_days

_RUNS_OF: Final = "SELECT run_id FROM runs WHERE config_hash = %s AND run_id = ANY(%s)"
_DIRTY: Final = "SELECT from_time, to_time FROM dirty_range WHERE asset = %s AND series_id = %s ORDER BY 1"
_BAR: Final = ("open", "high", "low", "close")


def recorded_hours(cursor: Cursor, asset: str, series: Series, window: Window) -> Recorded:
    """Return the ledger of an asset over a window."""
    return read_days(cursor, asset, series.series_id, whole_days(window)).within(window)


def hours_that_hold(
    cursor: Cursor, series: Series, asset: str, recorded: Recorded, config_hash: str
) -> NDArray[np.bool_]:
    """Return which hours of an asset are of this configuration and not marked stale, bool, shape (hours,)."""
    runs = [int(run) for run in np.unique(recorded.runs)]
    current = [row[0] for row in cursor.execute(_RUNS_OF, (config_hash, runs)).fetchall()]
    dirty = cursor.execute(_DIRTY, (asset, series.series_id)).fetchall()
    stale = [(epoch_ms(first), epoch_ms(until)) for first, until in dirty]
    return that_hold(recorded.window.hours, recorded.runs, current, stale)


def that_hold(
    hours: Int64, writers: NDArray[np.int32], current_runs: ArrayLike, stale: Iterable[tuple[int, int]]
) -> NDArray[np.bool_]:
    """Return which hours hold: one of the current runs wrote them, and they lie in no stale span; shape (hours,).

    Parameters
    ----------
    hours : ndarray of int64
        Starts, epoch milliseconds UTC.
    writers : ndarray of int32
        Run that wrote each hour last; 0 where nothing is recorded, which no run has.
    current_runs : array_like of int
        Runs of the wanted configuration.
    stale : iterable of tuple of int
        Half-open spans of hours that corrections have made stale, epoch milliseconds UTC.
    """
    holds: NDArray[np.bool_] = np.isin(writers, current_runs)
    for first, until in stale:
        holds &= ~((hours >= first) & (hours < until))
    return holds


def candles_of(cursor: Cursor, series: Series, market: Market, start_ms: int, end_ms: int) -> Candles:
    """Return the candles that open in [start, end)."""
    rows = read_arrays(cursor, CANDLES, series.series_id, start_ms, end_ms, CANDLES.names)
    prices = [rows[name] for name in _BAR]
    return Candles.from_prices(market, series.price_scale, rows["open_time"], prices, rows["volume"])
