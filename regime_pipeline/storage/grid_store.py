"""Versions of every symbol's grid and the stops of grids: appended, never changed, read back whole.

See `domain.grids.versions` for what a version means and whether an update is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import orjson

from regime_pipeline.domain.grids.config import GridConfig, StaleGridError
from regime_pipeline.domain.grids.formats import to_fields
from regime_pipeline.domain.grids.versions import History, check_history
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.storage.bulk.stale_ranges import mark_window
from regime_pipeline.storage.bulk.statements import epoch_ms, moment
from regime_pipeline.storage.pool import ConnectionPool, Cursor

ADVICE: Final = "grid_advice"
"""The table whose hours a new version or stop makes stale from its moment on."""
_HISTORY: Final = "SELECT config FROM grid_config WHERE symbol = %s ORDER BY version"
_THESE: Final = "WHERE %(symbols)s::text[] IS NULL OR symbol = ANY(%(symbols)s)"
_HISTORIES: Final = f"SELECT config FROM grid_config {_THESE} ORDER BY symbol, version"  # noqa: S608 - a constant
_ALL_STOPS: Final = f"SELECT symbol, stopped_at, cause, who, why FROM grid_stop {_THESE} ORDER BY symbol, stopped_at"  # noqa: S608
_SYMBOLS: Final = "SELECT DISTINCT symbol FROM grid_config ORDER BY symbol"
_ADD: Final = (
    "INSERT INTO grid_config (symbol, version, valid_from, config) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (symbol, version) DO NOTHING RETURNING version"
)
_STOPS: Final = "SELECT symbol, stopped_at, cause, who, why FROM grid_stop WHERE symbol = %s ORDER BY stopped_at"
_STOP: Final = (
    "INSERT INTO grid_stop (symbol, stopped_at, cause, who, why) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (symbol, stopped_at) DO NOTHING RETURNING symbol"
)
_RECORDED: Final = (
    "SELECT s.series_id, min(g.hour_start), max(g.hour_start) + interval '1 hour' "
    "FROM grid_advice g JOIN series s USING (series_id) WHERE s.symbol = %s GROUP BY s.series_id"
)


class GridStore:
    """Grids and their stops in one PostgreSQL database; `Warehouse.grids` gives one."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def symbols(self) -> list[str]:
        """Return every symbol that has a grid, in alphabetical order."""
        return [str(symbol) for (symbol,) in self._pool.query(lambda cursor: cursor.execute(_SYMBOLS).fetchall())]

    def history(self, symbol: str) -> History:
        """Return the versions of a symbol's grid, oldest first; empty without a grid."""
        rows = self._pool.query(lambda cursor: cursor.execute(_HISTORY, (symbol,)).fetchall())
        return check_history([GridConfig(**config) for (config,) in rows])

    def histories(self, symbols: Sequence[str] | None = None) -> dict[str, History]:
        """Return the history of every symbol (or of these) that has a grid, in alphabetical order."""
        wanted = {"symbols": None if symbols is None else list(symbols)}
        rows = self._pool.query(lambda cursor: cursor.execute(_HISTORIES, wanted).fetchall())
        configs = [GridConfig(**config) for (config,) in rows]
        return {symbol: check_history(list(found)) for symbol, found in groupby(configs, lambda c: c.symbol)}

    def append(self, config: GridConfig, run_id: int, stop: StopEvent | None = None) -> None:
        """Store a new version, and mark the hours of advice from its moment on as stale.

        Parameters
        ----------
        config : GridConfig
            From `versions.new_version`.
        run_id : int
            From `Warehouse.start_run`.
        stop : StopEvent, optional
            The stop that this version is; stored with it, or not at all.

        Raises
        ------
        StaleGridError
            Somebody else has stored this version meanwhile.
        """

        def work(cursor: Cursor) -> bool:
            document = orjson.dumps(to_fields(config)).decode()
            values = (config.symbol, config.version, moment(config.valid_from_ms), document)
            if cursor.execute(_ADD, values).fetchone() is None:
                return False
            _mark(cursor, config.symbol, config.valid_from_ms, run_id, f"grid version {config.version}")
            if stop is not None:
                _add_stop(cursor, stop, run_id)
            return True

        if not self._pool.transact(work):
            raise StaleGridError(
                f"Version {config.version} of the grid of {config.symbol} was stored by somebody else meanwhile.",
                f"Read version {config.version} and make the update on it.",
            )

    def stops(self, symbol: str) -> list[StopEvent]:
        """Return the stops of a symbol's grid, oldest first."""
        rows: list[Any] = self._pool.query(lambda cursor: cursor.execute(_STOPS, (symbol,)).fetchall())
        return [StopEvent(name, epoch_ms(at), cause, who, why) for name, at, cause, who, why in rows]

    def all_stops(self, symbols: Sequence[str] | None = None) -> dict[str, list[StopEvent]]:
        """Return the stops of every symbol (or of these) that has any, oldest first."""
        wanted = {"symbols": None if symbols is None else list(symbols)}
        rows: list[Any] = self._pool.query(lambda cursor: cursor.execute(_ALL_STOPS, wanted).fetchall())
        found = [StopEvent(name, epoch_ms(at), cause, who, why) for name, at, cause, who, why in rows]
        return {symbol: list(stops) for symbol, stops in groupby(found, lambda stop: stop.symbol)}

    def add_stop(self, stop: StopEvent, run_id: int) -> bool:
        """Store a stop and mark the hours of advice from its moment on as stale; False if it is there already."""
        return self._pool.transact(lambda cursor: _add_stop(cursor, stop, run_id))


def _add_stop(cursor: Cursor, stop: StopEvent, run_id: int) -> bool:
    """Store a stop within a transaction; False if it is there already."""
    values = (stop.symbol, moment(stop.stopped_at_ms), stop.cause, stop.who, stop.why)
    if cursor.execute(_STOP, values).fetchone() is None:
        return False
    _mark(cursor, stop.symbol, stop.stopped_at_ms, run_id, f"stop {stop.cause}")
    return True


def _mark(cursor: Cursor, symbol: str, from_ms: int, run_id: int, reason: str) -> None:
    """Mark every recorded hour of the symbol's advice that closes at or after a moment."""
    rows: list[Any] = cursor.execute(_RECORDED, (symbol,)).fetchall()
    for series_id, start, end in rows:
        first = max(-(-from_ms // HOUR_MS) * HOUR_MS - HOUR_MS, epoch_ms(start))
        if first < epoch_ms(end):
            mark_window(cursor, ADVICE, series_id, run_id, Window(first, epoch_ms(end)), reason)
