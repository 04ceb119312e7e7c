"""Rows prepared for one bulk write: checked against table, market and window, typed, and hashed per hour.

Everything that can be refused is refused here, before a transaction opens. No SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64, Window, to_iso
from regime_pipeline.storage.bulk.columns import KINDS, NO_TIME, BulkTable, Rows, StoredColumn, joined

_UInt64 = NDArray[np.uint64]
_ABSENT_BITS: Final = np.uint64(0x7FF8000000000001)
"""What every NaN hashes as: NULL has no payload."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked rows of one table and market over a window.

    Parameters
    ----------
    series_id : int
        The market's number.
    rows : dict of ndarray
        Every column of the table, the key first, sorted by the key.
    hour_index : ndarray of int64, shape (rows,)
        Hour of each row, counted from the window's start; ascending.
    hashes : ndarray of int64, shape (hours,)
        Content hash of each hour of the window: column bytes and configuration, never the run.
    counts : ndarray of int32, shape (hours,)
        Rows in each hour.
    """

    table: BulkTable
    market: Market
    series_id: int
    window: Window
    rows: dict[str, NDArray[Any]]
    hour_index: Int64
    hashes: Int64
    counts: NDArray[np.int32]

    @property
    def times_ms(self) -> Int64:
        """The key, int64 epoch milliseconds."""
        return self.rows[self.table.time]


def prepare_batch(
    table: BulkTable, market: Market, series_id: int, window: Window, rows: Rows, config_hash: str
) -> Batch:
    """Check, type and hash rows for a write.

    Raises
    ------
    StorageError
        A column is missing, unknown, of a wrong type or length; a value is absent where it must not be; the rows are
        unsorted, duplicate, unaligned or outside the window.
    """
    return prepare_batches(table, [Content(market, series_id, window, rows)], config_hash)[0]


class Content(NamedTuple):
    """What a table is to hold of a market in a window."""

    market: Market
    series_id: int
    window: Window
    rows: Rows


def prepare_batches(table: BulkTable, contents: Sequence[Content], config_hash: str) -> list[Batch]:
    """Check, type and hash the rows of several markets: a column of all of them costs little more than that of one.

    Raises
    ------
    StorageError
        As `prepare_batch`; where the rows of a market are given alone, it is named.
    """
    where = f"{table.name} of {', '.join(f'{each.market} over {each.window}' for each in contents)}"
    for each in contents:
        _check_columns(table, each.rows, f"{table.name} of {each.market} over {each.window}")
    values = {name: joined([np.asarray(each.rows[name]) for each in contents]) for name in table.names}
    typed = {column.name: _typed(column, values[column.name], where) for column in table.every_column}
    return _cut(table, contents, typed, config_hash)


def _check_columns(table: BulkTable, rows: Rows, where: str) -> None:
    if rows.keys() != set(table.names):
        raise StorageError(
            f"{where}: wrong columns: missing {sorted(set(table.names) - set(rows))}, "
            f"unknown {sorted(set(rows) - set(table.names))}.",
            "Give exactly the table's columns.",
        )
    lengths = {name: len(rows[name]) for name in table.names}
    if len(set(lengths.values())) > 1:
        raise StorageError(f"{where}: columns of different lengths {lengths}.", "Give every column one value per row.")


def _cut(table: BulkTable, contents: Sequence[Content], typed: Rows, config_hash: str) -> list[Batch]:
    """Hash the hours of all markets at once, and give each market its part."""
    rows_end = np.cumsum([len(each.rows[table.time]) for each in contents]).tolist()
    hours_end = np.cumsum([len(each.window) for each in contents]).tolist()
    parts = [slice(start, end) for start, end in pairwise([0, *rows_end])]
    hours = [slice(start, end) for start, end in pairwise([0, *hours_end])]
    indices = []
    for (market, _, window, _), part in zip(contents, parts, strict=True):
        times = typed[table.time][part]
        _check_times(table, market, window, times, f"{table.name} of {market} over {window}")
        indices.append((table.hours_of(market, times) - window.start_ms) // HOUR_MS)
    index = joined([own + of.start for own, of in zip(indices, hours, strict=True)])
    hashes = _hour_hashes(typed, index, hours_end[-1], config_hash)
    counts = np.bincount(index, minlength=hours_end[-1]).astype(np.int32)
    return [
        Batch(
            table, each.market, each.series_id, each.window,
            {name: column[part] for name, column in typed.items()}, own, hashes[of], counts[of],
        )
        for each, part, own, of in zip(contents, parts, indices, hours, strict=True)
    ]  # fmt: skip


def _typed(column: StoredColumn, values: NDArray[Any], where: str) -> NDArray[Any]:
    """Return the values in the column's type, refusing what does not fit."""
    where = f"{where}, column {column.name}"
    if column.kind in ("text", "json"):
        return _texts(column, values, where)
    wanted = np.dtype(KINDS[column.kind].dtype)
    given = np.asarray(values)
    if not np.can_cast(given.dtype, wanted, "same_kind"):
        raise StorageError(f"{where}: {given.dtype} values where {wanted} is stored.", "Convert them.")
    with np.errstate(over="ignore", invalid="ignore"):
        typed = np.ascontiguousarray(given.astype(wanted, copy=False))
    if wanted.kind == "i" and not np.array_equal(typed, given):
        raise StorageError(f"{where}: a value does not fit {wanted}.", "Check how it was computed.")
    _refuse(_is_bad(column, typed), typed, where)
    return typed


def _is_bad(column: StoredColumn, typed: NDArray[Any]) -> NDArray[np.bool_]:
    """Mask the values that the column may not hold."""
    if column.kind == "label":
        return np.asarray((typed < 0) | (typed >= len(column.categories)))
    if column.is_nullable:
        return np.zeros(len(typed), dtype=np.bool_)
    if typed.dtype.kind == "f":
        return np.asarray(~np.isfinite(typed))
    return np.asarray(typed == NO_TIME) if column.kind == "time" else np.zeros(len(typed), dtype=np.bool_)


def _refuse(bad: NDArray[np.bool_], values: NDArray[Any], where: str) -> None:
    if bad.any():
        at = int(np.argmax(bad))
        raise StorageError(f"{where}: {values[at]} in row {at} cannot be stored.", "Check how it was computed.")


def _texts(column: StoredColumn, values: NDArray[Any], where: str) -> NDArray[Any]:
    """Return texts; documents as JSON text with sorted keys (a str is taken as JSON text already)."""
    given = np.asarray(values, dtype=object)
    texts = np.empty(len(given), dtype=object)
    for row, value in enumerate(given):
        if isinstance(value, str):
            texts[row] = value
        elif column.kind == "json" and value is not None:
            texts[row] = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()
        else:
            raise StorageError(f"{where}: {value!r} in row {row} is not text.", "Check how it was computed.")
    return texts


def _check_times(table: BulkTable, market: Market, window: Window, times_ms: Int64, where: str) -> None:
    """Refuse keys that are out of order, off the grid or outside the window."""
    step = market.step_ms if table.is_per_bar else HOUR_MS
    unordered = np.zeros(len(times_ms), dtype=np.bool_)
    unordered[1:] = np.diff(times_ms) <= 0
    hours = table.hours_of(market, times_ms)
    rules = (
        ("is not after the row before it", unordered),
        ("is off the grid", times_ms % step != 0),
        ("lies outside the window", (hours < window.start_ms) | (hours >= window.end_ms)),
    )
    for rule, broken in rules:
        if broken.any():
            at = int(np.argmax(broken))
            raise StorageError(
                f"{where}: {table.time} {to_iso(int(times_ms[at]))} (row {at}) {rule}.", "Correct the rows."
            )


def _hour_hashes(rows: Rows, hour_index: Int64, hours: int, config_hash: str) -> Int64:
    """Hash each hour: the sum of its rows' hashes (keys are unique, so order and count are in it), mixed once more."""
    seed = np.uint64(_text_bits(config_hash))
    row_hash = np.full(len(hour_index), seed, dtype=np.uint64)
    for values in rows.values():
        row_hash = _mix(row_hash ^ _bits(values))
    sums = np.zeros(hours, dtype=np.uint64)
    np.add.at(sums, hour_index, row_hash)
    return _mix(sums ^ seed).view(np.int64)


def _mix(bits: _UInt64) -> _UInt64:
    """Spread every bit over all 64 (the finalizer of splitmix64)."""
    with np.errstate(over="ignore"):
        bits = bits + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _bits(values: NDArray[Any]) -> _UInt64:
    """Return 64 bits of each value: its own, or a digest of its text."""
    if values.dtype == object:
        known = {text: _text_bits(text) for text in set(values.tolist())}
        return np.array([known[text] for text in values.tolist()], dtype=np.uint64)
    if values.dtype.kind == "f":
        bits = values.astype(np.float64, copy=False).view(np.uint64)
        return np.where(np.isnan(values), _ABSENT_BITS, bits)
    return values.astype(np.int64).view(np.uint64)


def _text_bits(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
