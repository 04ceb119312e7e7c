"""Small tables: markets (`series`) and `runs`, by plain statements.

See `bulk` for hourly rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from psycopg import sql

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.columns import BulkTable
from regime_pipeline.storage.bulk.statements import epoch_ms, moment
from regime_pipeline.storage.pool import Cursor

_FIND: Final = (
    "SELECT symbol, timeframe, series_id, price_scale FROM series "
    "JOIN unnest(%s::text[], %s::text[]) AS w (symbol, timeframe) USING (symbol, timeframe)"
)
_ADD: Final = (
    "INSERT INTO series (venue, symbol, timeframe, step, price_scale) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (symbol, timeframe) DO NOTHING"
)
_RESCALE: Final = "UPDATE series SET price_scale = %s WHERE symbol = %s AND timeframe = %s"
_LIST: Final = "SELECT symbol, timeframe FROM series ORDER BY series_id"
_START: Final = (
    "INSERT INTO runs (dagster_run_id, code_version, config_hash, dirty_mark) "
    "SELECT %s, %s, %s, COALESCE(max(id), 0) FROM dirty_range RETURNING run_id"
)
_RUN: Final = "SELECT run_id, config_hash, dirty_mark FROM runs WHERE run_id = %s"

_END: Final = sql.SQL(
    "SELECT r.series_id, (SELECT {which}(t.{time}) FROM {table} AS t WHERE t.series_id = r.series_id) "
    "FROM unnest(%s::integer[]) AS r (series_id)"
)
End = Literal["min", "max"]
_COUNT: Final = sql.SQL("SELECT count(*) FROM {table} WHERE series_id = %s AND {time} >= %s AND {time} < %s")


@dataclass(frozen=True, slots=True)
class Series:
    """A stored market: its number and its price scale."""

    series_id: int
    price_scale: int


@dataclass(frozen=True, slots=True)
class Run:
    """A started run: its configuration, and the newest dirty mark it could see."""

    run_id: int
    config_hash: str
    dirty_mark: int


def find_series(cursor: Cursor, markets: Sequence[Market]) -> dict[Market, Series]:
    """Return the series of those markets that were ever stored."""
    wanted = ([market.symbol for market in markets], [market.timeframe for market in markets])
    found: list[Any] = cursor.execute(_FIND, wanted).fetchall()
    return {Market(symbol, timeframe): Series(*rest) for symbol, timeframe, *rest in found}


def add_series(cursor: Cursor, market: Market, venue: str, price_scale: int) -> None:
    """Create a market's series unless it exists."""
    step = timedelta(milliseconds=market.step_ms)
    cursor.execute(_ADD, (venue, market.symbol, market.timeframe, step, price_scale))


def rescale_series(cursor: Cursor, market: Market, price_scale: int) -> None:
    """Change a market's price scale."""
    cursor.execute(_RESCALE, (price_scale, market.symbol, market.timeframe))


def list_markets(cursor: Cursor) -> list[Market]:
    """Return every stored market in the order of first use."""
    return [Market(symbol, timeframe) for symbol, timeframe in cursor.execute(_LIST).fetchall()]


def start_run(cursor: Cursor, code_version: str, config_hash: str, dagster_run_id: str | None) -> int:
    """Register a run and the newest dirty mark visible to it."""
    row: Any = cursor.execute(_START, (dagster_run_id, code_version, config_hash)).fetchone()
    return int(row[0])


def find_run(cursor: Cursor, run_id: int) -> Run:
    """Return a run.

    Raises
    ------
    StorageError
        No such run was started.
    """
    found: Any = cursor.execute(_RUN, (run_id,)).fetchone()
    if found is None:
        raise StorageError(f"Run {run_id} was never started.", "Call start_run first and pass its number.")
    return Run(*found)


def end_keys(cursor: Cursor, table: BulkTable, series_ids: Sequence[int], which: End) -> dict[int, int]:
    """Return the oldest or newest key of each series that has rows in a bulk table, epoch milliseconds."""
    query = _END.format(which=sql.SQL(which), table=sql.Identifier(table.name), time=sql.Identifier(table.time))
    found: list[Any] = cursor.execute(query, (list(series_ids),)).fetchall()
    return {series_id: epoch_ms(key) for series_id, key in found if key is not None}


def count_keys(cursor: Cursor, table: BulkTable, series_id: int, start_ms: int, end_ms: int) -> int:
    """Return how many rows of a series have a key in [start, end)."""
    query = _COUNT.format(table=sql.Identifier(table.name), time=sql.Identifier(table.time))
    found: Any = cursor.execute(query, (series_id, moment(start_ms), moment(end_ms))).fetchone()
    return int(found[0])
