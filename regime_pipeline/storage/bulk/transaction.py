"""One locked transaction over one or two tables of some markets: compare, write, follow up, record, clear.

See `diff`, `stale_ranges`, `regime_periods` and `ledger` for the single steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.sorted_times import distinct, union
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.batch import Batch
from regime_pipeline.storage.bulk.columns import CANDLE_HOURS, CANDLE_REGIME, CANDLES, StoredColumn, joined
from regime_pipeline.storage.bulk.diff import (
    Change,
    Difference,
    WriteReport,
    compare_with_ledger,
    record,
    write_difference,
    write_rows,
)
from regime_pipeline.storage.bulk.ledger import newest_hours
from regime_pipeline.storage.bulk.regime_periods import Touched, rebuild_periods
from regime_pipeline.storage.bulk.stale_ranges import Reach, clear, mark_stale
from regime_pipeline.storage.bulk.statements import (
    SPANS,
    KeySpan,
    copy_rows,
    place_edges,
    series_values,
    span_parameters,
)
from regime_pipeline.storage.pool import Cursor
from regime_pipeline.storage.series_and_runs import Run

_TABLE: Final = "candle_revisions"
_NO_CLOSES: Final = np.empty(0, dtype=np.int64)


def keep_old_values(cursor: Cursor, run_id: int, differences: Sequence[tuple[int, Difference]]) -> None:
    """Store the former values of changed and removed candles; `revised_at` is the moment of this statement."""

    def old(name: str) -> NDArray[Any]:
        return joined([difference.old[name] for _, difference in differences])

    is_removed = joined([difference.is_removed for _, difference in differences])
    copy_rows(
        cursor,
        _TABLE,
        [
            (StoredColumn("open_time", "time"), old("open_time")),
            *((StoredColumn(f"old_{c.name}", "float"), old(c.name)) for c in CANDLES.columns),
            series_values([(series_id, len(difference.is_removed)) for series_id, difference in differences]),
            (StoredColumn("old_run_id", "int"), old("run_id")),
            (StoredColumn("run_id", "int"), np.full(len(is_removed), run_id, dtype=np.int32)),
            (StoredColumn("is_removed", "flag"), is_removed),
        ],
    )


_REVISED: Final = sql.SQL(
    "SELECT array_agg(r.place), array_agg(c.open_time) FROM {spans} CROSS JOIN LATERAL "
    "(SELECT DISTINCT v.open_time FROM candle_revisions v WHERE v.series_id = r.series_id AND v.open_time >= r.first "
    "AND v.open_time < r.until ORDER BY v.open_time) AS c"
).format(spans=SPANS)


def revised_bars(cursor: Cursor, spans: Sequence[KeySpan]) -> list[Int64]:
    """Return each span's open times whose candles were ever restated or removed, ascending, int64 ms."""
    places, times = cursor.execute(_REVISED, span_parameters(spans)).fetchone() or (None, None)
    found = _NO_CLOSES if times is None else times
    return [found[first:last] for first, last in pairwise(place_edges(places, spans))]


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


@dataclass(frozen=True, slots=True)
class MarketWrite:
    """What one market's window is to hold: a batch for each table, and how far corrections reach downstream."""

    batches: Sequence[Batch]
    reach: Reach

    @property
    def series_id(self) -> int:
        """The market's number."""
        return self.batches[0].series_id


def apply_writes(cursor: Cursor, writes: Sequence[MarketWrite], run: Run) -> list[list[WriteReport]]:
    """Write different markets' batches of the same tables; the caller holds the locks.

    Returns
    -------
    list of list of WriteReport
        For each market, one report a batch.
    """
    by_table = [_apply(cursor, batches, run) for batches in zip(*(write.batches for write in writes), strict=True)]
    by_market = list(zip(*by_table, strict=True))
    late = [
        (write, distinct(np.concatenate([closes for _, closes in done])))
        for write, done in zip(writes, by_market, strict=True)
    ]
    _mark_late(cursor, [(write, closes) for write, closes in late if write.reach and len(closes)], run)
    return [[report for report, _ in done] for done in by_market]


def _mark_late(cursor: Cursor, late: Sequence[tuple[MarketWrite, Int64]], run: Run) -> None:
    """Mark what the late closes of each market reach."""
    if not late:
        return
    source = late[0][0].batches[0].table.name
    newest = newest_hours(cursor, source, [write.series_id for write, _ in late])
    for write, closes in late:
        end = newest.get(write.series_id, 0) + HOUR_MS
        mark_stale(cursor, write.series_id, run.run_id, closes, end, write.reach, "candles corrected", source)


def _apply(cursor: Cursor, batches: Sequence[Batch], run: Run) -> list[tuple[WriteReport, Int64]]:
    """Write batches of one table; of each return the report, and the closes of rows that readers may know otherwise."""
    changes = compare_with_ledger(cursor, batches)
    done = {change.batch.series_id: (change.report(), _NO_CLOSES) for change in changes}
    fresh = [change for change in changes if change.is_changed.any()]
    if fresh:
        written = _write(cursor, fresh, run.run_id)
        done |= {change.batch.series_id: found for change, found in zip(fresh, written, strict=True)}
        record(cursor, fresh, run.run_id)
    windows = [(batch.series_id, batch.window) for batch in batches]
    clear(cursor, batches[0].table.name, windows, run.dirty_mark)
    return [done[batch.series_id] for batch in batches]


def _write(cursor: Cursor, changes: Sequence[Change], run_id: int) -> list[tuple[WriteReport, Int64]]:
    table = changes[0].batch.table
    if table not in (CANDLES, CANDLE_HOURS, CANDLE_REGIME):
        return [(report, _NO_CLOSES) for report in write_rows(cursor, changes, run_id)]
    reports, differences = write_difference(cursor, changes, run_id)
    if table == CANDLE_REGIME:
        _follow_regimes(cursor, changes, differences)
        return [(report, _NO_CLOSES) for report in reports]
    if table == CANDLES:
        series = [change.batch.series_id for change in changes]
        keep_old_values(cursor, run_id, list(zip(series, differences, strict=True)))
    return list(zip(reports, _late(cursor, changes, differences), strict=True))


def _follow_regimes(cursor: Cursor, changes: Sequence[Change], differences: Sequence[Difference]) -> None:
    touched = []
    for change, difference in zip(changes, differences, strict=True):
        keys = [times for times in (difference.added_ms, difference.old[CANDLE_REGIME.time]) if len(times)]
        if keys:
            first, last = min(times[0] for times in keys), max(times[-1] for times in keys)
            touched.append(Touched(change.batch, int(first), int(last)))
    if touched:
        rebuild_periods(cursor, touched)


def _late(cursor: Cursor, changes: Sequence[Change], differences: Sequence[Difference]) -> list[Int64]:
    table = changes[0].batch.table
    newest = newest_hours(cursor, table.name, [change.batch.series_id for change in changes])
    return [
        late_closes(
            difference,
            table.time,
            change.batch.market.step_ms if table.is_per_bar else HOUR_MS,
            newest.get(change.batch.series_id, -HOUR_MS) + HOUR_MS,
        )
        for change, difference in zip(changes, differences, strict=True)
    ]
