"""A bulk table as Parquet: types, units, and rows as Arrow columns; needs the extra `parquet`.

See `export` for files and when they are written.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.columns import KINDS, NO_TIME, BulkTable, Rows, StoredColumn
from regime_pipeline.storage.frames import known_at_of, regime_names

TIME_ZONE: Final = "UTC"
_TIME: Final = pa.timestamp("ms", tz=TIME_ZONE)
_NAME: Final = pa.dictionary(pa.int8(), pa.string())
_UNITS: Final = {
    "pct": "percent",
    "bps": "basis points",
    "bars": "bars",
    "minutes": "minutes",
    "hours": "hours",
}
"""Unit by the suffix of a column's name."""
_CANDLE_UNITS: Final = {"volume": "base currency"} | dict.fromkeys(
    ("open", "high", "low", "close"), "quote currency per base"
)


def arrow_table(table: BulkTable, market: Market, rows: Rows, about: dict[str, str]) -> pa.Table:
    """Return rows of a bulk table with `known_at` as an Arrow table; absent values are null, states spelled out.

    Parameters
    ----------
    table : BulkTable
        Where the rows come from.
    market : Market
        Whose rows they are.
    rows : mapping of ndarray
        As `Warehouse.read_range` returns them.
    about : dict of str
        Goes into the schema's metadata, as do the `units` of all columns together, as JSON: readers other than Arrow's
        see no metadata of single columns.
    """
    fields, columns = [], []
    for name, values in rows.items():
        for field, column in _columns(table, name, values):
            fields.append(field)
            columns.append(column)
    known_at = known_at_of(table, market, rows[table.time])
    if known_at is not None:
        fields.append(pa.field("known_at", _TIME, nullable=False))
        columns.append(pa.array(known_at).cast(_TIME))
    units = {field.name: field.metadata[b"unit"].decode() for field in fields if field.metadata}
    metadata = {**about, "units": orjson.dumps(units).decode()}
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=metadata))


def _columns(table: BulkTable, name: str, values: NDArray[Any]) -> list[tuple[pa.Field, pa.Array]]:
    if table.name == "candle_regime" and name == "state":
        names = regime_names(values).items()
        return [(pa.field(each, _NAME, nullable=False), _labels(c.codes, list(c.categories))) for each, c in names]
    column = table.column(name)
    array = _array(column, values)
    return [(pa.field(name, array.type, column.is_nullable, metadata=_about(table, name)), array)]


def _about(table: BulkTable, name: str) -> dict[str, str] | None:
    unit = (_CANDLE_UNITS if table.name == "candles" else {}).get(name) or _UNITS.get(name.rpartition("_")[2])
    return {"unit": unit} if unit else None


def _array(column: StoredColumn, values: NDArray[Any]) -> pa.Array:
    if column.kind == "time":
        return pa.array(values, mask=values == NO_TIME).cast(_TIME)
    if column.kind == "label":
        return _labels(values, list(column.categories))
    if column.kind == "json":
        return pa.array([orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() for value in values], pa.string())
    if column.kind == "text":
        return pa.array(values, pa.string())
    mask = np.isnan(values) if column.is_nullable else None
    return pa.array(np.asarray(values, KINDS[column.kind].dtype), mask=mask)


def _labels(codes: NDArray[Any], categories: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(categories, pa.string()))
