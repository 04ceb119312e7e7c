"""The one bulk write inside a transaction: compare with the ledger and the stored rows, write only what differs.

Each step is one statement for all markets of the write, under the advisory locks of its table and markets. See
`transaction` for what follows from a change (revisions, stale ranges, periods).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.sorted_times import is_in
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.storage.bulk.batch import Batch
from regime_pipeline.storage.bulk.columns import BulkTable, Rows
from regime_pipeline.storage.bulk.ledger import Recorded, read_days, whole_days, write_days
from regime_pipeline.storage.bulk.statements import (
    KeySpan,
    copy_rows,
    delete,
    read_spans,
    runs_of_indices,
    table_values,
)
from regime_pipeline.storage.pool import Cursor

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What one bulk write did; arrays of shape (hours,) in the window's order.

    Parameters
    ----------
    table : str
        Table written.
    window : Window
        Hours replaced.
    rows : int
        Rows given.
    inserted_rows, deleted_rows : int
        Rows sent to and removed from the table; a changed row counts in both.
    is_written : ndarray of bool
        Hours whose content differs from what was recorded.
    hashes : ndarray of int64
        Content hash of each hour: equal content, equal hash, whatever the run.
    """

    table: str
    window: Window
    rows: int
    inserted_rows: int
    deleted_rows: int
    is_written: Mask
    hashes: Int64

    @property
    def written_partitions(self) -> int:
        """Hours that were written."""
        return int(self.is_written.sum())

    @property
    def unchanged_partitions(self) -> int:
        """Hours that already held the same content."""
        return len(self.is_written) - self.written_partitions


@dataclass(frozen=True, slots=True)
class Difference:
    """How the stored rows changed.

    Parameters
    ----------
    added_ms : ndarray of int64
        Keys that were not there before.
    old : dict of ndarray
        Former rows that were changed or removed, run_id included.
    is_removed : ndarray of bool
        Which of the former rows have no successor.
    """

    added_ms: Int64
    old: dict[str, NDArray[Any]]
    is_removed: Mask


@dataclass(frozen=True, slots=True)
class Change:
    """A batch beside the ledger of the days it touches, and which of its hours differ from that."""

    batch: Batch
    ledger: Recorded
    is_changed: Mask

    def report(self, inserted: int = 0, deleted: int = 0) -> WriteReport:
        """Sum up a write."""
        batch = self.batch
        rows = len(batch.times_ms)
        return WriteReport(batch.table.name, batch.window, rows, inserted, deleted, self.is_changed, batch.hashes)

    @property
    def hours(self) -> Window:
        """From the first to the last changed hour."""
        changed = self.batch.window.hours[self.is_changed]
        return Window(int(changed[0]), int(changed[-1]) + HOUR_MS)


def compare_with_ledger(cursor: Cursor, batches: Sequence[Batch]) -> list[Change]:
    """Return the changes that the ledger does not know yet, of batches of one table and different markets."""
    days = [(batch.series_id, whole_days(batch.window)) for batch in batches]
    ledgers = read_days(cursor, batches[0].table.name, days)
    return [_change(batch, ledger) for batch, ledger in zip(batches, ledgers, strict=True)]


def _change(batch: Batch, ledger: Recorded) -> Change:
    known = ledger.within(batch.window)
    return Change(batch, ledger, ~known.is_recorded | (known.hashes != batch.hashes))


def write_rows(cursor: Cursor, changes: Sequence[Change], run_id: int) -> list[WriteReport]:
    """Replace the rows of the changed hours as a whole: a delete of their ranges and a COPY."""
    table = changes[0].batch.table
    deleted = delete(cursor, table.name, table.time, [span for change in changes for span in _spans(change)])
    parts = [(change.batch.series_id, _new_rows(change)) for change in changes]
    copy_rows(cursor, table.name, table_values(table, parts, run_id))
    return [
        change.report(len(rows[table.time]), deleted.get(series_id, 0))
        for change, (series_id, rows) in zip(changes, parts, strict=True)
    ]


def _new_rows(change: Change) -> dict[str, NDArray[Any]]:
    """The rows of the changed hours."""
    return _chosen(change.batch.rows, change.is_changed[change.batch.hour_index])


def _spans(change: Change) -> list[KeySpan]:
    """The keys of each run of changed hours."""
    batch, start = change.batch, change.batch.window.start_ms
    windows = (
        Window(start + a * HOUR_MS, start + (b + 1) * HOUR_MS)
        for a, b in _pairs(*runs_of_indices(np.flatnonzero(change.is_changed)))
    )
    return [(batch.series_id, *batch.table.key_bounds(batch.market, window)) for window in windows]


def write_difference(
    cursor: Cursor, changes: Sequence[Change], run_id: int
) -> tuple[list[WriteReport], list[Difference]]:
    """Replace only the rows of the changed hours that differ bit for bit, and tell how they differ."""
    table = changes[0].batch.table
    spans = [(change.batch.series_id, *table.key_bounds(change.batch.market, change.hours)) for change in changes]
    stored = read_spans(cursor, table, spans, (*table.names, "run_id"))
    compared = [_compared(change, rows) for change, rows in zip(changes, stored, strict=True)]
    doomed = [span for change, found in zip(changes, compared, strict=True) for span in _doomed_spans(change, found)]
    deleted = delete(cursor, table.name, table.time, doomed)
    parts = [
        (change.batch.series_id, _chosen(found.rows, ~found.is_same))
        for change, found in zip(changes, compared, strict=True)
    ]
    copy_rows(cursor, table.name, table_values(table, parts, run_id))
    reports = [
        change.report(len(rows[table.time]), deleted.get(series_id, 0))
        for change, (series_id, rows) in zip(changes, parts, strict=True)
    ]
    return reports, [found.difference(table.time) for found in compared]


@dataclass(frozen=True, slots=True)
class _Compared:
    """New and stored rows of one market: which new ones are known and equal, and which stored ones have no equal."""

    rows: Rows
    stored: Rows
    is_known: Mask
    is_same: Mask
    is_doomed: Mask

    def difference(self, time: str) -> Difference:
        """Tell how the stored rows change."""
        old = _chosen(self.stored, self.is_doomed)
        return Difference(self.rows[time][~self.is_known], old, ~is_in(old[time], self.rows[time]))


def _compared(change: Change, stored: Rows) -> _Compared:
    batch = change.batch
    table = batch.table
    hours = (table.hours_of(batch.market, stored[table.time]) - batch.window.start_ms) // HOUR_MS
    rows = _new_rows(change)
    is_known, is_same, is_doomed = _compare(table, rows, stored)
    return _Compared(rows, stored, is_known, is_same, is_doomed & change.is_changed[hours])


def _doomed_spans(change: Change, found: _Compared) -> list[KeySpan]:
    old_ms = found.stored[change.batch.table.time]
    first, last = runs_of_indices(np.flatnonzero(found.is_doomed))
    return [(change.batch.series_id, start, end) for start, end in _pairs(old_ms[first], old_ms[last] + 1)]


def record(cursor: Cursor, changes: Sequence[Change], run_id: int) -> None:
    """Store the changed hours in the ledger, touching only the days they lie in."""
    for change in changes:
        known = change.ledger.within(change.batch.window)
        known.hashes[change.is_changed] = change.batch.hashes[change.is_changed]
        known.counts[change.is_changed] = change.batch.counts[change.is_changed]
        known.runs[change.is_changed] = run_id
    touched = [(change.batch.series_id, change.ledger.within(whole_days(change.hours))) for change in changes]
    write_days(cursor, changes[0].batch.table.name, touched)


def _pairs(first: Int64, last: Int64) -> zip[tuple[int, int]]:
    return zip(first.tolist(), last.tolist(), strict=True)


def _chosen(rows: Rows, mask: Mask) -> dict[str, NDArray[Any]]:
    return {name: values[mask] for name, values in rows.items()}


def _compare(table: BulkTable, rows: Rows, stored: Rows) -> tuple[Mask, Mask, Mask]:
    """Return which new rows have a stored namesake, which equal it bit for bit, and which stored rows have no equal."""
    new_ms, old_ms = rows[table.time], stored[table.time]
    place = np.searchsorted(old_ms, new_ms)
    is_known = np.zeros(len(new_ms), dtype=np.bool_)
    inside = place < len(old_ms)
    is_known[inside] = old_ms[place[inside]] == new_ms[inside]
    is_same = is_known.copy()
    for column in table.columns:
        new, old = rows[column.name][is_known], stored[column.name][place[is_known]]
        is_same[is_known] &= _bytes_of(new) == _bytes_of(old)
    is_doomed = np.ones(len(old_ms), dtype=np.bool_)
    is_doomed[place[is_same]] = False
    return is_known, is_same, is_doomed


def _bytes_of(values: NDArray[Any]) -> NDArray[Any]:
    """View floats as integers, so that equal means equal bits."""
    return values.view(f"i{values.itemsize}") if values.dtype.kind == "f" else values
