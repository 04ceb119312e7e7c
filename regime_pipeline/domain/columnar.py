"""Hourly rows as columns: a dictionary of arrays whose names and types follow `schema`.

See `features`, `scoring`, `verdicts` and `grids` for what the columns mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.window import Int64, to_iso
from regime_pipeline.domain.schema import Column, Kind

Rows = dict[str, NDArray[Any]]
"""Columns of equal length by name."""

DTYPES: Final[dict[Kind, type[Any]]] = {
    "float": np.float64,
    "int": np.int32,
    "flag": np.bool_,
    "time": np.int64,
    "label": np.int8,
    "text": object,
    "json": object,
}


def spread(columns: Sequence[Column], values: Mapping[str, Any], source: Int64) -> Rows:
    """Return rows that repeat other rows.

    Parameters
    ----------
    columns : sequence of Column
        What to return, in order; every name must be in `values`.
    values : mapping of str to array_like, shape (m,)
        Computed columns; any numeric type.
    source : ndarray of int64, shape (n,)
        Row of `values` behind each returned row; -1 where there is none (float NaN, int 0, flag False, label code 0).
    """
    found = source >= 0
    rows: Rows = {}
    for column in columns:
        blank = np.nan if column.kind == "float" else 0
        rows[column.name] = np.full(len(source), blank, dtype=DTYPES[column.kind])
        rows[column.name][found] = np.asarray(values[column.name])[source[found]]
    return rows


def constant(value: str, count: int) -> NDArray[Any]:
    """Return a text column that holds one value, shape (count,), object."""
    return np.full(count, value, dtype=object)


def sign_codes(signs: Float64) -> NDArray[np.int8]:
    """Return label codes of signs: 0 for zero, 1 for positive, 2 for negative; int8, same shape."""
    return np.where(signs < 0, 2, np.sign(signs)).astype(np.int8)


def code_signs(codes: NDArray[np.int8]) -> Float64:
    """Return the signs of label codes, the inverse of `sign_codes`; float64, same shape."""
    return np.array([0.0, 1.0, -1.0])[codes]


def rows_at(rows: Rows, hours: Int64, what: str) -> Int64:
    """Return the position of each hour's row, int64, same shape.

    Raises
    ------
    MissingDataError
        A row is not there; names the first hour.
    """
    starts = rows["hour_start"]
    at = np.searchsorted(starts, hours)
    missing = (at >= len(starts)) | (starts[np.minimum(at, len(starts) - 1)] != hours) if len(starts) else hours >= 0
    if np.any(missing):
        first = to_iso(int(hours[int(np.argmax(missing))]))
        raise MissingDataError(f"There is no row of {what} for the hour {first}.", f"Materialize {what} first.")
    return at.astype(np.int64)
