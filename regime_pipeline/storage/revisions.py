"""What a change of candles entails, in its transaction: former values kept, downstream hours marked stale.

The change itself is written by `replace`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.window import Int64
from regime_pipeline.storage.bulk_io import copy_rows
from regime_pipeline.storage.bulk_tables import CANDLES, StoredColumn
from regime_pipeline.storage.engine import Cursor
from regime_pipeline.storage.replace import Difference

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
        End of the newest hour recorded before: a row added after it is no news to anyone.
    """
    added = difference.added_ms + step_ms
    return np.union1d(difference.old[time] + step_ms, added[added <= recorded_end_ms])
