"""Frames as JSON values: one object per row, times in ISO-8601 with Z, NaN as null.

Every face that speaks JSON uses it, so that they all say the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from regime_pipeline.domain.market_data.window import to_iso


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as JSON values, columns in order."""
    columns = json_columns(frame)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def json_columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the columns of a frame as lists of JSON values, in order."""
    return {str(name): _column(frame[name]) for name in frame}


def plain(value: Any) -> Any:
    """Return one value as a JSON value."""
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        return to_iso(round(value.timestamp() * 1000))
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _column(column: pd.Series) -> list[Any]:
    """A column's values, whole columns at once where that is quick."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        absent = column.isna().to_numpy()
        ms = column.dt.tz_convert("UTC").to_numpy("M8[ms]").astype(np.int64)
        return [None if none else to_iso(at) for none, at in zip(absent.tolist(), ms.tolist(), strict=True)]
    if column.dtype.kind in "iub":
        values: list[Any] = column.to_numpy().tolist()
        return values
    if column.dtype.kind == "f":
        return [value if math.isfinite(value) else None for value in column.to_numpy().tolist()]
    return [plain(value) for value in column.tolist()]
