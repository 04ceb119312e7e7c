"""One locked transaction over one or two tables of a market: compare, write, follow up, record, clear.

See `diff`, `stale_ranges`, `regime_periods` and `ledger` for the single steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.sorted_times import union
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.batch import Batch
from regime_pipeline.storage.bulk.columns import CANDLE_HOURS, CANDLE_REGIME, CANDLES, StoredColumn
from regime_pipeline.storage.bulk.diff import (
    Difference,
    Mask,
    WriteReport,
    compare_with_ledger,
    record,
    report,
    write_difference,
    write_rows,
)
from regime_pipeline.storage.bulk.ledger import newest_hour
from regime_pipeline.storage.bulk.regime_periods import rebuild_periods
from regime_pipeline.storage.bulk.stale_ranges import Reach, clear, mark_stale
from regime_pipeline.storage.bulk.statements import copy_rows
from regime_pipeline.storage.pool import Cursor
from regime_pipeline.storage.series_and_runs import Run

_TABLE: Final = "candle_revisions"


def keep_old_values(cursor: Cursor, series_id: int, run_id: int, difference: Difference) -> None:
    """Store the former values of changed and removed candles; `revised_at` is the moment of this statement."""
    count = len(difference.is_removed)
    copy_rows(
        cursor,
        _TABLE,
        [
            (StoredColumn("open_time", "time"), difference.old["open_time"]),
            *((StoredColumn(f"old_{c.name}", "float"), difference.old[c.name]) for c in CANDLES.columns),
            (StoredColumn("series_id", "int"), np.full(count, series_id, dtype=np.int32)),
            (StoredColumn("old_run_id", "int"), difference.old["run_id"]),
            (StoredColumn("run_id", "int"), np.full(count, run_id, dtype=np.int32)),
            (StoredColumn("is_removed", "flag"), difference.is_removed),
        ],
    )


_REVISED: Final = """
SELECT coalesce(array_agg(DISTINCT (extract(epoch FROM open_time) * 1000)::bigint
                          ORDER BY (extract(epoch FROM open_time) * 1000)::bigint), '{}')
FROM candle_revisions
WHERE series_id = %s AND open_time >= to_timestamp(%s / 1000.0) AND open_time < to_timestamp(%s / 1000.0)
"""


def revised_bars(cursor: Cursor, series_id: int, start_ms: int, end_ms: int) -> Int64:
    """Return the open times in [start, end) whose candles were ever restated or removed, ascending, int64 ms."""
    cursor.execute(_REVISED, (series_id, start_ms, end_ms))
    row = cursor.fetchone()
    return np.array(row[0] if row else [], dtype=np.int64)


def late_closes(difference: Difference, time: str, step_ms: int, recorded_end_ms: int) -> Int64:
    """Return the closes of rows that differ from what readers may have seen, ascending epoch milliseconds.

    Parameters
    ----------
    difference : Difference
        Of `candles` or `candle_hours`.
    time : str
        Name of the key.
    step_ms : int
        Length of a row's bar or hour.
    recorded_end_ms : int
        End of the newest hour recorded before: a row added after it is not news to anyone.
    """
    added = difference.added_ms + step_ms
    return union(difference.old[time] + step_ms, added[added <= recorded_end_ms])


_NO_CLOSES = np.empty(0, dtype=np.int64)


def apply_batches(
    cursor: Cursor, batches: Sequence[Batch], series_id: int, run: Run, reach: Reach
) -> list[WriteReport]:
    """Write batches of one market and window; the locks are held by the caller."""
    reports: list[WriteReport] = []
    closes = _NO_CLOSES
    for batch in batches:
        done, late = _apply(cursor, batch, series_id, run)
        reports.append(done)
        closes = union(closes, late)
    if reach and len(closes):
        source = batches[0].table.name
        newest = newest_hour(cursor, source, series_id) or 0
        mark_stale(cursor, series_id, run.run_id, closes, newest + HOUR_MS, reach, "candles corrected", source)
    return reports


def _apply(cursor: Cursor, batch: Batch, series_id: int, run: Run) -> tuple[WriteReport, Int64]:
    """Write one batch; return the report and the closes of rows that readers may have seen otherwise."""
    ledger, is_changed = compare_with_ledger(cursor, batch, series_id)
    done, late = report(batch, is_changed, 0, 0), _NO_CLOSES
    if is_changed.any():
        done, late = _write(cursor, batch, is_changed, series_id, run.run_id)
        record(cursor, batch, ledger, is_changed, series_id, run.run_id)
    clear(cursor, batch.table.name, series_id, batch.window, run.dirty_mark)
    return done, late


def _write(cursor: Cursor, batch: Batch, is_changed: Mask, series_id: int, run_id: int) -> tuple[WriteReport, Int64]:
    if batch.table not in (CANDLES, CANDLE_HOURS, CANDLE_REGIME):
        return write_rows(cursor, batch, is_changed, series_id, run_id), _NO_CLOSES
    done, difference = write_difference(cursor, batch, is_changed, series_id, run_id)
    if batch.table == CANDLE_REGIME:
        _follow_regimes(cursor, batch, difference, series_id)
        return done, _NO_CLOSES
    if batch.table == CANDLES:
        keep_old_values(cursor, series_id, run_id, difference)
    return done, _late(cursor, batch, difference, series_id)


def _follow_regimes(cursor: Cursor, batch: Batch, difference: Difference, series_id: int) -> None:
    touched = [keys for keys in (difference.added_ms, difference.old[CANDLE_REGIME.time]) if len(keys)]
    if touched:
        first, last = min(keys[0] for keys in touched), max(keys[-1] for keys in touched)
        rebuild_periods(cursor, batch, series_id, int(first), int(last))


def _late(cursor: Cursor, batch: Batch, difference: Difference, series_id: int) -> Int64:
    newest = newest_hour(cursor, batch.table.name, series_id)
    recorded_end = 0 if newest is None else newest + HOUR_MS
    step = batch.market.step_ms if batch.table.is_per_bar else HOUR_MS
    return late_closes(difference, batch.table.time, step, recorded_end)
