"""The ledger: what each asset contains in each hour of each market, as content hash, row count and run.

One stored row is a day of hours (a fifth of the size of a row per hour). See `diff` for what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.storage.bulk.columns import StoredColumn, joined
from regime_pipeline.storage.bulk.statements import (
    SPANS,
    copy_rows,
    epoch_ms,
    moment,
    place_edges,
    series_values,
    span_parameters,
)
from regime_pipeline.storage.pool import Cursor

_TABLE: Final = "partition_ledger"
_READ: Final = sql.SQL(
    "SELECT array_agg(r.place), array_agg(l.day), array_agg(l.content_hash), array_agg(l.row_count), "
    "array_agg(l.run_id) FROM {spans} CROSS JOIN LATERAL (SELECT * FROM partition_ledger p WHERE p.asset = %(asset)s "
    "AND p.series_id = r.series_id AND p.day >= r.first AND p.day < r.until ORDER BY p.day) AS l"
).format(spans=SPANS)
_DELETE: Final = sql.SQL(
    "DELETE FROM partition_ledger AS l USING {spans} WHERE l.asset = %(asset)s AND l.series_id = r.series_id "
    "AND l.series_id = ANY(%(series)s) AND l.day >= r.first AND l.day < r.until"
).format(spans=SPANS)
_STALE: Final = (
    "SELECT s.symbol, s.timeframe, count(*) FROM partition_ledger l JOIN series s USING (series_id) "
    "CROSS JOIN LATERAL unnest(l.run_id) WITH ORDINALITY AS h (run_id, hour) JOIN runs u ON u.run_id = h.run_id "
    "WHERE l.asset = %s AND u.config_hash <> %s AND l.day + (h.hour - 1) * interval '1 hour' >= %s "
    "AND l.day + (h.hour - 1) * interval '1 hour' < COALESCE(%s::timestamptz, 'infinity') GROUP BY 1, 2 ORDER BY 1, 2"
)
_NEWEST: Final = (
    "SELECT r.series_id, l.day, l.run_id FROM unnest(%s::integer[]) AS r (series_id) CROSS JOIN LATERAL "
    "(SELECT p.day, p.run_id FROM partition_ledger p WHERE p.asset = %s AND p.series_id = r.series_id "
    "ORDER BY p.day DESC LIMIT 1) AS l"
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


def read_days(cursor: Cursor, asset: str, wanted: Sequence[tuple[int, Window]]) -> list[Recorded]:
    """Return the ledger of an asset over whole days of each series wanted, in one statement."""
    found = [Recorded.nothing(days) for _, days in wanted]
    spans = [(series_id, days.start_ms, days.end_ms) for series_id, days in wanted]
    cursor.execute(_READ, span_parameters(spans) | {"asset": asset})
    row: Any = cursor.fetchone()
    places, days_ms, *stored = row
    if places is None:
        return found
    starts = np.array([days.start_ms for _, days in wanted])
    day = (days_ms - starts[places - 1]) // DAY_MS
    for recorded, (first, last) in zip(found, pairwise(place_edges(places, spans)), strict=True):
        arrays: tuple[NDArray[Any], ...] = (recorded.hashes, recorded.counts, recorded.runs)
        for mine, theirs in zip(arrays, stored, strict=True):
            mine.reshape(-1, 24)[day[first:last]] = theirs[first:last]
    return found


def write_days(cursor: Cursor, asset: str, parts: Sequence[tuple[int, Recorded]]) -> None:
    """Store the ledger of whole days of each series in place of what was there; a series is given once."""
    spans = [(series_id, recorded.window.start_ms, recorded.window.end_ms) for series_id, recorded in parts]
    cursor.execute(_DELETE, span_parameters(spans) | {"asset": asset})
    by_day = [
        [values.reshape(-1, 24) for values in (recorded.hashes, recorded.counts, recorded.runs)]
        for _, recorded in parts
    ]
    is_used = [runs.any(axis=1) for _, _, runs in by_day]
    days = [
        np.arange(recorded.window.start_ms, recorded.window.end_ms, DAY_MS)[used]
        for (_, recorded), used in zip(parts, is_used, strict=True)
    ]
    hashes, counts, runs = (
        joined([arrays[number][used] for arrays, used in zip(by_day, is_used, strict=True)]) for number in range(3)
    )
    series = series_values([(series_id, len(of)) for (series_id, _), of in zip(parts, days, strict=True)])
    copy_rows(
        cursor,
        _TABLE,
        [
            (StoredColumn("day", "time"), joined(days)),
            series,
            (StoredColumn("content_hash", "longs"), hashes),
            (StoredColumn("row_count", "ints"), counts),
            (StoredColumn("run_id", "ints"), runs),
            (StoredColumn("asset", "text"), np.full(len(runs), asset, dtype=object)),
        ],
    )


def read_months(cursor: Cursor, asset: str, series_id: int) -> list[Month]:
    """Return the ledger of an asset by month, oldest first."""
    found = cursor.execute(_MONTHS, (asset, series_id)).fetchall()
    return [Month(epoch_ms(start), rows, tuple(hashes), digest) for start, rows, hashes, digest in found]


def newest_hours(cursor: Cursor, asset: str, series_ids: Sequence[int]) -> dict[int, int]:
    """Return the start of the newest recorded hour of each series that has one, epoch milliseconds."""
    found: list[Any] = cursor.execute(_NEWEST, (list(series_ids), asset)).fetchall()
    return {series_id: epoch_ms(day) + int(np.flatnonzero(runs)[-1]) * HOUR_MS for series_id, day, runs in found}
