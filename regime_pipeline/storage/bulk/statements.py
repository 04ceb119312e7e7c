"""The primitives inside a transaction: lock, read arrays, delete ranges, COPY rows.

See `diff` for which rows, and in what order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from psycopg import sql

from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.columns import KINDS, BulkTable, Rows, StoredColumn, bulk_table
from regime_pipeline.storage.bulk.copy_format import Values, copy_order, encode_copy
from regime_pipeline.storage.pool import Cursor

_SELECT: Final = sql.SQL(
    "SELECT {arrays} FROM (SELECT {columns} FROM {table} WHERE series_id = %(series_id)s "
    "AND {time} >= %(start)s AND {time} < %(end)s ORDER BY {time}) AS t"
)
_DELETE: Final = sql.SQL(
    "DELETE FROM {table} AS t USING unnest(%s::timestamptz[], %s::timestamptz[]) AS r (first, until) "
    "WHERE t.series_id = %s AND t.{time} >= r.first AND t.{time} < r.until"
)
_COPY: Final = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)")


@cache
def select_arrays(table_name: str, names: tuple[str, ...]) -> bytes:
    """Return the query for one row with an array per column; parameters series_id, start, end.

    The order comes from the subselect, which the single scan keeps for every array.
    """
    table = bulk_table(table_name)
    return _SELECT.format(
        arrays=sql.SQL(", ").join(_array_of(table.column(name)) for name in names),
        columns=sql.SQL(", ").join(sql.Identifier(name) for name in dict.fromkeys((*names, table.time))),
        table=sql.Identifier(table.name),
        time=sql.Identifier(table.time),
    ).as_bytes()


def _array_of(column: StoredColumn) -> sql.Composed:
    """Aggregate a column without NULLs: NaN and -infinity stand for absent values, codes for labels."""
    name = sql.Identifier(column.name)
    if column.kind == "label":
        listed = sql.SQL(", ").join(sql.Literal(category) for category in column.categories)
        return sql.SQL("array_agg((array_position(ARRAY[{}], {}) - 1)::smallint)").format(listed, name)
    if column.kind == "json":
        return sql.SQL("array_agg({}::text)").format(name)
    if column.is_nullable:
        absent = sql.SQL("'NaN'" if column.kind == "float" else "'-infinity'")
        return sql.SQL("array_agg(COALESCE({}, {}))").format(name, absent)
    return sql.SQL("array_agg({})").format(name)


@cache
def delete_ranges(table: str, time: str) -> bytes:
    """Return the delete of several key ranges of a series; parameters starts, ends (exclusive), series_id."""
    return _DELETE.format(table=sql.Identifier(table), time=sql.Identifier(time)).as_bytes()


@cache
def copy_into(table: str, names: tuple[str, ...]) -> bytes:
    """Return the COPY of columns in this order."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    return _COPY.format(table=sql.Identifier(table), columns=columns).as_bytes()


ONE_MOMENT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""First statement of a transaction whose reads must agree."""
LOCK_TIMEOUT: Final = "20s"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK: Final = (
    "SELECT set_config('lock_timeout', %s, true), "
    "(SELECT count(pg_advisory_xact_lock(hashtextextended(k, 0))) FROM unnest(%s::text[]) AS k)"
)


def moment(ms: int) -> datetime:
    """Epoch milliseconds as an aware UTC time, exactly."""
    return _EPOCH + timedelta(milliseconds=int(ms))


def epoch_ms(time: datetime) -> int:
    """Reverse `moment`."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def lock(cursor: Cursor, keys: Sequence[str]) -> None:
    """Take advisory locks until the end of the transaction, in sorted order, so that no two writers can deadlock."""
    cursor.execute(_LOCK, (LOCK_TIMEOUT, sorted(keys)))


def read_arrays(
    cursor: Cursor, table: BulkTable, series_id: int, start_ms: int, end_ms: int, names: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """Read columns of the rows with a key in [start, end), sorted by the key."""
    cursor.execute(
        select_arrays(table.name, names), {"series_id": series_id, "start": moment(start_ms), "end": moment(end_ms)}
    )
    arrays = cursor.fetchone() or ()
    return {name: _in_memory(table.column(name), array) for name, array in zip(names, arrays, strict=True)}


def read_in_pages(
    cursor: Cursor, table: BulkTable, series_id: int, starts_ms: range, end_ms: int, names: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """Read the same as of one moment by a statement for each start: no array grows beyond what PostgreSQL can send."""
    cursor.execute(ONE_MOMENT)
    ends = [*starts_ms[1:], end_ms]
    spans = zip(starts_ms, ends, strict=True)
    pages = [read_arrays(cursor, table, series_id, start, end, names) for start, end in spans]
    return {name: np.concatenate([page[name] for page in pages]) for name in names}


def _in_memory(column: StoredColumn, array: Any) -> NDArray[Any]:
    """Give an array its type in memory; documents are parsed."""
    dtype = KINDS[column.kind].dtype
    if array is None:
        return np.empty(0, dtype=dtype)
    if dtype != "O":
        return np.asarray(array).astype(dtype, copy=False)
    values = np.empty(len(array), dtype=object)
    values[:] = [orjson.loads(text) for text in array] if column.kind == "json" else array
    return values


def delete(cursor: Cursor, table: str, time: str, series_id: int, starts_ms: Int64, ends_ms: Int64) -> int:
    """Delete the rows of a series whose key lies in any [start, end); return how many there were."""
    if not len(starts_ms):
        return 0
    spans = [moment(ms) for ms in starts_ms.tolist()], [moment(ms) for ms in ends_ms.tolist()]
    cursor.execute(delete_ranges(table, time), (*spans, series_id))
    return cursor.rowcount


def copy_rows(cursor: Cursor, table: str, columns: Sequence[Values]) -> int:
    """Append rows by one binary COPY; return how many."""
    rows = len(columns[0][1])
    if rows:
        values = {column.name: array for column, array in columns}
        ordered = [(column, values[column.name]) for column in copy_order([column for column, _ in columns])]
        with cursor.copy(copy_into(table, tuple(column.name for column, _ in ordered))) as stream:
            for block in encode_copy(ordered):
                stream.write(block)
    return rows


def table_values(table: BulkTable, rows: Rows, series_id: int, run_id: int) -> list[Values]:
    """Pair every column of a bulk table with its values, series and run included."""
    count = len(rows[table.time])
    constants = (("series_id", series_id), ("run_id", run_id))
    return [
        (StoredColumn(table.time, "time"), rows[table.time]),
        *((StoredColumn(name, "int"), np.full(count, value, dtype=np.int32)) for name, value in constants),
        *((column, rows[column.name]) for column in table.columns),
    ]


def runs_of_indices(indices: Int64) -> tuple[Int64, Int64]:
    """Return first and last of each run of consecutive ascending integers."""
    if not len(indices):
        return indices, indices
    breaks = np.flatnonzero(np.diff(indices) != 1)
    return indices[np.concatenate(([0], breaks + 1))], indices[np.concatenate((breaks, [len(indices) - 1]))]
