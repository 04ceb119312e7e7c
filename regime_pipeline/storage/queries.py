"""The bulk statements, composed once per table: array reads, COPY targets, range deletes.

Running them, and transactions, do not belong here.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from psycopg import sql

from regime_pipeline.storage.bulk_tables import StoredColumn, bulk_table

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
