"""Bulk tables as the codecs see them: key, columns, kinds, SQL types and the numpy types in memory and on the wire.

Hourly columns derive from `domain.schema`. See `storage.tables` for the DDL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.grids.schema import GRID_ADVICE
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64, Window, hour_of_close
from regime_pipeline.domain.schema import DASHBOARD_HOURS, FEATURES, HOUR_STATUSES, SCORES, VERDICT_COLUMNS, Column

Rows = Mapping[str, NDArray[Any]]
StoredKind = Literal["float", "real", "int", "short", "flag", "time", "label", "text", "json", "ints", "longs"]
NO_TIME: Final = int(np.iinfo(np.int64).min)
"""The int64 of NaT: the one absent time, NULL in the database."""


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Put arrays end to end; a single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class WireKind:
    """How a kind of column looks in memory, on the wire and in SQL.

    Parameters
    ----------
    dtype : str
        numpy type in memory; `O` for texts.
    wire : str
        Big-endian numpy type of PostgreSQL's binary format, empty where the width varies.
    sql : str
        PostgreSQL type.

    Notes
    -----
    `ints` and `longs` are arrays of one length, shape (rows, length) in memory; the ledger alone has them.
    """

    dtype: str
    wire: str
    sql: str


KINDS: Final[Mapping[str, WireKind]] = {
    "float": WireKind("f8", ">f8", "double precision"),
    "real": WireKind("f4", ">f4", "real"),
    "int": WireKind("i4", ">i4", "integer"),
    "short": WireKind("i2", ">i2", "smallint"),
    "flag": WireKind("?", "?", "boolean"),
    "time": WireKind("i8", ">i8", "timestamptz"),
    "label": WireKind("i1", "", "text"),
    "text": WireKind("O", "", "text"),
    "json": WireKind("O", "", "jsonb"),
    "ints": WireKind("i4", ">i4", "integer[]"),
    "longs": WireKind("i8", ">i8", "bigint[]"),
}


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One stored column; `is_nullable` columns hold NaN (float) or NaT (time) where the database has NULL."""

    name: str
    kind: StoredKind
    is_nullable: bool = False
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BulkTable:
    """A table written by `replace_range` and read by `read_range`.

    Parameters
    ----------
    name : str
        Table, and asset in the ledger.
    time : {"open_time", "hour_start"}
        Key within a market: a bar's open, or the start of an hour.
    columns : tuple of StoredColumn
        Columns after (series_id, time, run_id), in the order of `read_range`.
    """

    name: str
    time: Literal["open_time", "hour_start"]
    columns: tuple[StoredColumn, ...]

    @property
    def is_per_bar(self) -> bool:
        """Rows are bars, not hours."""
        return self.time == "open_time"

    @property
    def every_column(self) -> tuple[StoredColumn, ...]:
        """The key and the columns, in the order of `names`."""
        return (StoredColumn(self.time, "time"), *self.columns)

    def column(self, name: str) -> StoredColumn:
        """Return a column, the key and run_id included.

        Raises
        ------
        StorageError
            The table has no such column.
        """
        every = (StoredColumn(self.time, "time"), StoredColumn("run_id", "int"), *self.columns)
        found = next((column for column in every if column.name == name), None)
        if found is None:
            raise StorageError(f"The table '{self.name}' has no column '{name}'.", f"It has {', '.join(self.names)}.")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the key and the columns, without series_id and run_id."""
        return (self.time, *(column.name for column in self.columns))

    def key_bounds(self, market: Market, window: Window) -> tuple[int, int]:
        """Return the half-open span of keys whose rows belong to the window's hours, epoch milliseconds."""
        if not self.is_per_bar:
            return window.start_ms, window.end_ms
        step = market.step_ms
        return window.start_ms // step * step, window.end_ms // step * step

    def hours_of(self, market: Market, times_ms: Int64) -> Int64:
        """Start of the hour each row belongs to: the hour in which a bar closes, or the row's own hour."""
        return hour_of_close(market, times_ms) if self.is_per_bar else times_ms

    def empty(self, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """Return no rows of the named columns, each in its type."""
        return {name: np.empty(0, dtype=KINDS[self.column(name).kind].dtype) for name in names}


def _hourly(name: str, layout: tuple[Column, ...]) -> BulkTable:
    """Derive an hourly table: floats and times may be absent, everything else is always there."""
    columns = (StoredColumn(c.name, c.kind, c.kind in ("float", "time"), c.categories) for c in layout)
    return BulkTable(name, "hour_start", tuple(c for c in columns if c.name != "hour_start"))


CANDLES: Final = BulkTable(
    "candles",
    "open_time",
    tuple(StoredColumn(name, "float") for name in ("open", "high", "low", "close", "volume")),
)
CANDLE_HOURS: Final = BulkTable(
    "candle_hours",
    "hour_start",
    (
        StoredColumn("expected", "short"),
        StoredColumn("present", "short"),
        StoredColumn("status", "label", categories=HOUR_STATUSES),
    ),
)
CANDLE_REGIME: Final = BulkTable(
    "candle_regime", "open_time", (StoredColumn("confidence", "real"), StoredColumn("state", "short"))
)
HOURLY_TABLES: Final = (
    _hourly("features", FEATURES),
    _hourly("scores", SCORES),
    _hourly("regime_verdicts", VERDICT_COLUMNS),
    _hourly("grid_advice", GRID_ADVICE),
    _hourly("dashboard_hours", DASHBOARD_HOURS),
)
BULK_TABLES: Final = {t.name: t for t in (CANDLES, CANDLE_HOURS, CANDLE_REGIME, *HOURLY_TABLES)}


def bulk_table(name: str) -> BulkTable:
    """Return a bulk table by name.

    Raises
    ------
    StorageError
        There is none.
    """
    if name not in BULK_TABLES:
        raise StorageError(f"'{name}' is not a bulk table.", f"Use one of {', '.join(BULK_TABLES)}.")
    return BULK_TABLES[name]
