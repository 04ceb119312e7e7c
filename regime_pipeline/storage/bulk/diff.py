"""The one bulk write inside a transaction: compare with the ledger and the stored rows, write only what differs.

Every step runs under the advisory lock of its table and market. See `transaction` for what follows from a change
(revisions, stale ranges, periods).
"""

from __future__ import annotations

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
from regime_pipeline.storage.bulk.statements import copy_rows, delete, read_arrays, runs_of_indices, table_values
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


def compare_with_ledger(cursor: Cursor, batch: Batch, series_id: int) -> tuple[Recorded, Mask]:
    """Return the ledger of the days the batch touches, and which of its hours differ from it."""
    ledger = read_days(cursor, batch.table.name, series_id, whole_days(batch.window))
    known = ledger.within(batch.window)
    return ledger, ~known.is_recorded | (known.hashes != batch.hashes)


def write_rows(cursor: Cursor, batch: Batch, is_changed: Mask, series_id: int, run_id: int) -> WriteReport:
    """Replace the rows of the changed hours as a whole: a delete of their ranges and a COPY."""
    table = batch.table
    first, last = runs_of_indices(np.flatnonzero(is_changed))
    start = batch.window.start_ms
    bounds = [
        table.key_bounds(batch.market, Window(start + a * HOUR_MS, start + (b + 1) * HOUR_MS))
        for a, b in _pairs(first, last)
    ]
    spans = np.array(bounds, dtype=np.int64).reshape(-1, 2)
    deleted = delete(cursor, table.name, table.time, series_id, spans[:, 0], spans[:, 1])
    rows = _chosen(batch.rows, is_changed[batch.hour_index])
    inserted = copy_rows(cursor, table.name, table_values(table, rows, series_id, run_id))
    return report(batch, is_changed, inserted, deleted)


def write_difference(
    cursor: Cursor, batch: Batch, is_changed: Mask, series_id: int, run_id: int
) -> tuple[WriteReport, Difference]:
    """Replace only the rows of the changed hours that differ bit for bit, and tell how they differ."""
    table = batch.table
    span = key_span(batch, is_changed)
    stored = read_arrays(cursor, table, series_id, *span, (*table.names, "run_id"))
    hours = (table.hours_of(batch.market, stored[table.time]) - batch.window.start_ms) // HOUR_MS
    is_new = is_changed[batch.hour_index]
    rows = _chosen(batch.rows, is_new)
    is_known, is_same, is_doomed = _compare(table, rows, stored)
    is_doomed &= is_changed[hours]
    old_ms = stored[table.time]
    first, last = runs_of_indices(np.flatnonzero(is_doomed))
    deleted = delete(cursor, table.name, table.time, series_id, old_ms[first], old_ms[last] + 1)
    inserted = copy_rows(cursor, table.name, table_values(table, _chosen(rows, ~is_same), series_id, run_id))
    old = _chosen(stored, is_doomed)
    difference = Difference(rows[table.time][~is_known], old, ~is_in(old[table.time], rows[table.time]))
    return report(batch, is_changed, inserted, deleted), difference


def record(cursor: Cursor, batch: Batch, ledger: Recorded, is_changed: Mask, series_id: int, run_id: int) -> None:
    """Store the batch's changed hours in the ledger, touching only the days they lie in."""
    known = ledger.within(batch.window)
    known.hashes[is_changed] = batch.hashes[is_changed]
    known.counts[is_changed] = batch.counts[is_changed]
    known.runs[is_changed] = run_id
    changed = batch.window.hours[is_changed]
    days = whole_days(Window(int(changed[0]), int(changed[-1]) + HOUR_MS))
    write_days(cursor, batch.table.name, series_id, ledger.within(days))


def report(batch: Batch, is_changed: Mask, inserted: int, deleted: int) -> WriteReport:
    """Sum up a write."""
    rows = len(batch.times_ms)
    return WriteReport(batch.table.name, batch.window, rows, inserted, deleted, is_changed, batch.hashes)


def key_span(batch: Batch, is_changed: Mask) -> tuple[int, int]:
    """Return the half-open span of keys from the first to the last changed hour."""
    changed = batch.window.hours[is_changed]
    return batch.table.key_bounds(batch.market, Window(int(changed[0]), int(changed[-1]) + HOUR_MS))


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
