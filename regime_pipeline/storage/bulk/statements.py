"""The primitives inside a transaction: lock, read arrays, delete ranges, COPY rows.

One market or several, each is one statement. See `diff` for which rows, and in what order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from psycopg import sql

from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.columns import KINDS, BulkTable, Rows, StoredColumn, bulk_table, joined
from regime_pipeline.storage.bulk.copy_format import Values, copy_order, encode_copy
from regime_pipeline.storage.pool import Cursor

SPANS: Final = sql.SQL(
    "unnest(%(series)s::integer[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) "
    "WITH ORDINALITY AS r (series_id, first, until, place)"
)
"""Spans of keys as rows of a statement; their parameters are `span_parameters`."""
_SELECT: Final = sql.SQL(
    "SELECT {arrays} FROM (SELECT {columns} FROM {table} WHERE series_id = %(series_id)s "
    "AND {time} >= %(start)s AND {time} < %(end)s ORDER BY {time}) AS t"
)
_SELECT_SPANS: Final = sql.SQL(
    "SELECT array_agg(place::integer), {arrays} FROM (SELECT r.place, t.* FROM {spans} CROSS JOIN LATERAL "
    "(SELECT {columns} FROM {table} AS s WHERE s.series_id = r.series_id AND s.{time} >= r.first "
    "AND s.{time} < r.until ORDER BY s.{time}) AS t) AS f"
)
_DELETE: Final = sql.SQL(
    "WITH gone AS (DELETE FROM {table} AS t USING {spans} WHERE t.series_id = r.series_id "
    "AND t.series_id = ANY(%(series)s) AND t.{time} >= r.first AND t.{time} < r.until RETURNING t.series_id) "
    "SELECT series_id, count(*) FROM gone GROUP BY series_id"
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


@cache
def select_spans(table_name: str, names: tuple[str, ...]) -> bytes:
    """Return the query for one row with the span's place and an array per column; parameters `span_parameters`.

    The order inside the lateral keeps the planner from joining whole tables: it looks one span after another up in the
    index, so that rows come in the order of spans and, in each, of keys.
    """
    table = bulk_table(table_name)
    return _SELECT_SPANS.format(
        spans=SPANS,
        arrays=sql.SQL(", ").join(_array_of(table.column(name)) for name in names),
        columns=sql.SQL(", ").join(sql.Identifier(name) for name in names),
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
    """Return the delete of several key spans, which counts the rows of each series; parameters `span_parameters`."""
    return _DELETE.format(spans=SPANS, table=sql.Identifier(table), time=sql.Identifier(time)).as_bytes()


@cache
def copy_into(table: str, names: tuple[str, ...]) -> bytes:
    """Return the COPY of columns in this order."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    return _COPY.format(table=sql.Identifier(table), columns=columns).as_bytes()


KeySpan = tuple[int, int, int]
"""Series, and the half-open span of its keys in epoch milliseconds."""


def span_parameters(spans: Sequence[KeySpan]) -> dict[str, list[Any]]:
    """Return the parameters of a statement over `SPANS`."""
    return {
        "series": [series_id for series_id, _, _ in spans],
        "starts": [moment(start) for _, start, _ in spans],
        "ends": [moment(end) for _, _, end in spans],
    }


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


def read_spans(
    cursor: Cursor, table: BulkTable, spans: Sequence[KeySpan], names: tuple[str, ...]
) -> list[dict[str, NDArray[Any]]]:
    """Read columns of the rows in each span, sorted by the key: what `read_arrays` gives for each, in one statement."""
    if len(spans) == 1:
        return [read_arrays(cursor, table, *spans[0], names)]
    cursor.execute(select_spans(table.name, names), span_parameters(spans))
    found: Any = cursor.fetchone()
    places, *arrays = found
    rows = {name: _in_memory(table.column(name), array) for name, array in zip(names, arrays, strict=True)}
    return [{name: rows[name][first:last] for name in names} for first, last in pairwise(place_edges(places, spans))]


def place_edges(places: Int64 | None, spans: Sequence[KeySpan]) -> list[int]:
    """Return where the rows of each span begin, and where the last one's end, given each row's place from 1."""
    edges: list[int] = np.searchsorted([] if places is None else places, np.arange(1, len(spans) + 2)).tolist()
    return edges


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


def delete(cursor: Cursor, table: str, time: str, spans: Sequence[KeySpan]) -> dict[int, int]:
    """Delete the rows whose key lies in any of the spans; return how many there were by series."""
    if not spans:
        return {}
    return dict(cursor.execute(delete_ranges(table, time), span_parameters(spans)).fetchall())


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


def table_values(table: BulkTable, parts: Sequence[tuple[int, Rows]], run_id: int) -> list[Values]:
    """Pair every column of a bulk table with the values of all series, given as (series, rows), and of the run."""
    rows = {name: joined([part[name] for _, part in parts]) for name in table.names}
    return [
        (StoredColumn(table.time, "time"), rows[table.time]),
        series_values([(series_id, len(part[table.time])) for series_id, part in parts]),
        (StoredColumn("run_id", "int"), np.full(len(rows[table.time]), run_id, dtype=np.int32)),
        *((column, rows[column.name]) for column in table.columns),
    ]


def series_values(counts: Sequence[tuple[int, int]]) -> Values:
    """Return the column `series_id` of rows that are given series by series, as (series, number of rows)."""
    ids, rows = (np.array(numbers, dtype=np.int32) for numbers in zip(*counts, strict=True))
    return StoredColumn("series_id", "int"), np.repeat(ids, rows)


def runs_of_indices(indices: Int64) -> tuple[Int64, Int64]:
    """Return first and last of each run of consecutive ascending integers."""
    if not len(indices):
        return indices, indices
    breaks = np.flatnonzero(np.diff(indices) != 1)
    return indices[np.concatenate(([0], breaks + 1))], indices[np.concatenate((breaks, [len(indices) - 1]))]
