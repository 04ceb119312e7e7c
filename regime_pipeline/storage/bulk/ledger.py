"""The ledger: what each asset contains in each hour of each market, as content hash, row count and run.

One stored row is a day of hours (a fifth of the size of a row per hour). See `diff` for what is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.storage.bulk.columns import StoredColumn
from regime_pipeline.storage.bulk.statements import copy_rows, epoch_ms, moment
from regime_pipeline.storage.pool import Cursor

_TABLE: Final = "partition_ledger"
_READ: Final = (
    "SELECT array_agg(day), array_agg(content_hash), array_agg(row_count), array_agg(run_id) FROM partition_ledger "
    "WHERE asset = %s AND series_id = %s AND day >= %s AND day < %s"
)
_DELETE: Final = "DELETE FROM partition_ledger WHERE asset = %s AND series_id = %s AND day >= %s AND day < %s"
_STALE: Final = (
    "SELECT s.symbol, s.timeframe, count(*) FROM partition_ledger l JOIN series s USING (series_id) "
    "CROSS JOIN LATERAL unnest(l.run_id) WITH ORDINALITY AS h (run_id, hour) JOIN runs u ON u.run_id = h.run_id "
    "WHERE l.asset = %s AND u.config_hash <> %s AND l.day + (h.hour - 1) * interval '1 hour' >= %s "
    "AND l.day + (h.hour - 1) * interval '1 hour' < COALESCE(%s::timestamptz, 'infinity') GROUP BY 1, 2 ORDER BY 1, 2"
)
_NEWEST: Final = (
    "SELECT day, run_id FROM partition_ledger WHERE asset = %s AND series_id = %s ORDER BY day DESC LIMIT 1"
)
_MONTHS: Final = (
    "SELECT date_trunc('month', l.day, 'UTC'), sum(h.row_count), "
    "array_agg(DISTINCT u.config_hash ORDER BY u.config_hash), "
    "encode(sha256(convert_to(string_agg(concat_ws(':', l.day - date_trunc('month', l.day, 'UTC'), h.hour, "
    "h.content_hash, h.row_count), ',' ORDER BY l.day, h.hour), 'UTF8')), 'hex') "
    "FROM partition_ledger l CROSS JOIN LATERAL unnest(l.content_hash, l.row_count, l.run_id) WITH ORDINALITY "
    "AS h (content_hash, row_count, run_id, hour) JOIN runs u ON u.run_id = h.run_id "
    "WHERE l.asset = %s AND l.series_id = %s GROUP BY 1 ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class Month:
    """What the ledger says about a UTC month of an asset of a market.

    Parameters
    ----------
    start_ms : int
        Its first moment, epoch milliseconds.
    rows : int
        Rows in all its hours.
    config_hashes : tuple of str
        Configurations that wrote them.
    digest : str
        Changes whenever the content of any hour does.
    """

    start_ms: int
    rows: int
    config_hashes: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the ledger says about the hours of a window; arrays of shape (hours,).

    Parameters
    ----------
    window : Window
        The hours.
    hashes : ndarray of int64
        Content hash.
    counts : ndarray of int32
        Rows.
    runs : ndarray of int32
        Run that wrote the hour last; 0 where nothing is recorded.
    """

    window: Window
    hashes: Int64
    counts: NDArray[np.int32]
    runs: NDArray[np.int32]

    @property
    def is_recorded(self) -> NDArray[np.bool_]:
        """Hours that some run has written, if only with no rows."""
        return np.asarray(self.runs != 0)

    def within(self, window: Window) -> Recorded:
        """Return a window inside; its arrays are views, so that assigning to them changes this one."""
        first = (window.start_ms - self.window.start_ms) // HOUR_MS
        inside = slice(first, first + len(window))
        return Recorded(window, self.hashes[inside], self.counts[inside], self.runs[inside])

    @classmethod
    def nothing(cls, window: Window) -> Recorded:
        """Return a ledger without an entry."""
        hours = len(window)
        return cls(window, np.zeros(hours, dtype=np.int64), *np.zeros((2, hours), dtype=np.int32))


def stale_hours(
    cursor: Cursor, asset: str, config_hash: str, start_ms: int, end_ms: int | None
) -> list[tuple[str, str, int]]:
    """Return symbol, timeframe and number of the recorded hours of a span that another configuration wrote."""
    span = moment(start_ms), None if end_ms is None else moment(end_ms)
    found: list[tuple[str, str, int]] = cursor.execute(_STALE, (asset, config_hash, *span)).fetchall()
    return found


def whole_days(window: Window) -> Window:
    """Return the window widened to whole UTC days."""
    return Window(window.start_ms // DAY_MS * DAY_MS, -(-window.end_ms // DAY_MS) * DAY_MS)


def read_days(cursor: Cursor, asset: str, series_id: int, days: Window) -> Recorded:
    """Return the ledger of an asset over whole days."""
    recorded = Recorded.nothing(days)
    cursor.execute(_READ, (asset, series_id, moment(days.start_ms), moment(days.end_ms)))
    found: Any = cursor.fetchone()
    if found[0] is not None:
        row = (found[0] - days.start_ms) // DAY_MS
        arrays: tuple[NDArray[Any], ...] = (recorded.hashes, recorded.counts, recorded.runs)
        for mine, stored in zip(arrays, found[1:], strict=True):
            mine.reshape(-1, 24)[row] = stored
    return recorded


def write_days(cursor: Cursor, asset: str, series_id: int, recorded: Recorded) -> None:
    """Store the ledger of whole days in place of what was there."""
    days = recorded.window
    cursor.execute(_DELETE, (asset, series_id, moment(days.start_ms), moment(days.end_ms)))
    by_day = [values.reshape(-1, 24) for values in (recorded.hashes, recorded.counts, recorded.runs)]
    is_used = by_day[2].any(axis=1)
    rows = int(is_used.sum())
    copy_rows(
        cursor,
        _TABLE,
        [
            (StoredColumn("day", "time"), np.arange(days.start_ms, days.end_ms, DAY_MS)[is_used]),
            (StoredColumn("series_id", "int"), np.full(rows, series_id, dtype=np.int32)),
            (StoredColumn("content_hash", "longs"), by_day[0][is_used]),
            (StoredColumn("row_count", "ints"), by_day[1][is_used]),
            (StoredColumn("run_id", "ints"), by_day[2][is_used]),
            (StoredColumn("asset", "text"), np.full(rows, asset, dtype=object)),
        ],
    )


def read_months(cursor: Cursor, asset: str, series_id: int) -> list[Month]:
    """Return the ledger of an asset by month, oldest first."""
    found = cursor.execute(_MONTHS, (asset, series_id)).fetchall()
    return [Month(epoch_ms(start), rows, tuple(hashes), digest) for start, rows, hashes, digest in found]


def newest_hour(cursor: Cursor, asset: str, series_id: int) -> int | None:
    """Return the start of the newest recorded hour, epoch milliseconds."""
    found: Any = cursor.execute(_NEWEST, (asset, series_id)).fetchone()
    if found is None:
        return None
    day, runs = found
    return epoch_ms(day) + int(np.flatnonzero(runs)[-1]) * HOUR_MS
