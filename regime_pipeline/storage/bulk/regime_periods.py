"""`regime_period`: runs of one simplified regime, kept in step with `candle_regime` in the same transaction.

A gap in the candles ends a period. See `services.queries.candle_regimes` for queries.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED_OF_STATE
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.batch import Batch
from regime_pipeline.storage.bulk.columns import StoredColumn
from regime_pipeline.storage.bulk.statements import copy_rows, delete, epoch_ms, moment, read_arrays
from regime_pipeline.storage.pool import Cursor

_TABLE: Final = "regime_period"
_FOREVER_MS: Final = 250_000_000_000_000
_BEFORE: Final = "SELECT max(t0) FROM regime_period WHERE series_id = %s AND t0 < %s"
_AFTER: Final = "SELECT t1, is_open FROM regime_period WHERE series_id = %s AND t0 > %s ORDER BY t0 LIMIT 1"
_COLUMNS: Final = (
    StoredColumn("t0", "time"),
    StoredColumn("t1", "time"),
    StoredColumn("n", "int"),
    StoredColumn("conf_avg", "real"),
    StoredColumn("conf_min", "real"),
    StoredColumn("conf_max", "real"),
    StoredColumn("regime", "short"),
)


def build_periods(rows: dict[str, NDArray[Any]], step_ms: int) -> dict[str, NDArray[Any]]:
    """Return the periods of sorted `candle_regime` rows.

    Parameters
    ----------
    rows : dict of ndarray
        `open_time` (int64 epoch milliseconds), `state` (int16), `confidence` (float32).
    step_ms : int
        Length of a bar.

    Returns
    -------
    dict of ndarray
        t0 and t1 (open of the first bar, close of the last), n bars, regime (index into `SIMPLIFIED`), conf_avg,
        conf_min, conf_max.
    """
    times: Int64 = rows["open_time"]
    regime = SIMPLIFIED_OF_STATE[rows["state"]]
    confidence = rows["confidence"]
    is_first = np.ones(len(times), dtype=np.bool_)
    is_first[1:] = (np.diff(times) != step_ms) | (regime[1:] != regime[:-1])
    first = np.flatnonzero(is_first)
    n = np.diff(np.append(first, len(times)))
    if not len(first):
        return {column.name: np.empty(0) for column in _COLUMNS}
    return {
        "t0": times[first],
        "t1": times[first + n - 1] + step_ms,
        "n": n.astype(np.int32),
        "conf_avg": (np.add.reduceat(confidence.astype(np.float64), first) / n).astype(np.float32),
        "conf_min": np.minimum.reduceat(confidence, first),
        "conf_max": np.maximum.reduceat(confidence, first),
        "regime": regime[first].astype(np.int16),
    }


def rebuild_periods(cursor: Cursor, batch: Batch, series_id: int, first_ms: int, last_ms: int) -> None:
    """Rebuild the periods around changed bars, their neighbours included.

    The period before may grow or shrink at its end, the period after at its start; no other can change.

    Parameters
    ----------
    cursor : Cursor
        In the transaction of the change.
    batch : Batch
        What `candle_regime` now holds in the batch's window; only bars outside it are read.
    series_id : int
        The market's number.
    first_ms, last_ms : int
        Open times of the first and the last bar that was added, changed or removed.
    """
    before: Any = cursor.execute(_BEFORE, (series_id, moment(first_ms))).fetchone()
    after: Any = cursor.execute(_AFTER, (series_id, moment(last_ms))).fetchone()
    start = first_ms if before[0] is None else epoch_ms(before[0])
    end, is_tail = (_FOREVER_MS, True) if after is None else (epoch_ms(after[0]), after[1])
    periods = build_periods(_rows_between(cursor, batch, series_id, start, end), batch.market.step_ms)
    delete(cursor, _TABLE, "t0", series_id, np.array([start]), np.array([end]))
    count = len(periods["t0"])
    is_open = np.zeros(count, dtype=np.bool_)
    is_open[-1:] = is_tail
    values = [(column, periods[column.name]) for column in _COLUMNS]
    values.append((StoredColumn("series_id", "int"), np.full(count, series_id, dtype=np.int32)))
    values.append((StoredColumn("is_open", "flag"), is_open))
    copy_rows(cursor, _TABLE, values)


def _rows_between(cursor: Cursor, batch: Batch, series_id: int, start_ms: int, end_ms: int) -> dict[str, NDArray[Any]]:
    """Return the rows with keys in [start, end): the batch's inside its window, stored ones before and after."""
    inside_start, inside_end = batch.table.key_bounds(batch.market, batch.window)
    times = batch.times_ms
    inside = slice(*np.searchsorted(times, [start_ms, end_ms]).tolist())
    names = batch.table.names
    parts = [{name: batch.rows[name][inside] for name in names}]
    if start_ms < inside_start:
        parts.insert(0, read_arrays(cursor, batch.table, series_id, start_ms, min(inside_start, end_ms), names))
    if end_ms > inside_end:
        parts.append(read_arrays(cursor, batch.table, series_id, max(inside_end, start_ms), end_ms, names))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
