"""What people hold candles in, as one pandas frame: pandas, Polars, Arrow, rows of ccxt, records, columns by name.

Names and values stay as they were given. See `inputs` for what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.sources.files.layouts import BINANCE, FIELDS, NAMES, normalize

_PRICES: Final = frozenset(FIELDS[1:5])
_ROW: Final = "[open time in ms, open, high, low, close, volume]"


def frame_of(given: Any) -> pd.DataFrame:
    """Return what was given as a frame; a time in the index is a column named `open_time`.

    Raises
    ------
    BadCandlesError
        It is none of the forms; says which there are.
    """
    if isinstance(given, pd.DataFrame):
        return _with_time(_of_one_symbol(given))
    if hasattr(given, "get_columns"):  # Polars
        return pd.DataFrame({series.name: _polars_values(series) for series in given.get_columns()}, copy=False)
    if hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__"):
        return _from_arrow(given)
    try:
        if isinstance(given, Mapping):
            return pd.DataFrame(dict(given))
        if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str):
            return _from_rows(given)
    except (TypeError, ValueError) as error:
        raise BadCandlesError(f"The candles cannot be read: {error}.", f"Rows are {_ROW}, all alike.") from error
    raise BadCandlesError(
        f"Candles must be a DataFrame, not {type(given).__name__}.",
        f"A frame of pandas or Polars, an Arrow table, or rows {_ROW} will do.",
    )


def _of_one_symbol(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without the level of column names that holds the symbol, as yfinance adds it."""
    names = [frame.columns.get_level_values(level) for level in range(frame.columns.nlevels)]
    fields = max(range(len(names)), key=lambda level: sum(normalize(name) in _PRICES for name in names[level]))
    for level, symbols in enumerate(each.unique() for each in names):
        if level != fields and len(symbols) > 1:
            how = f"frame.xs({symbols[0]!r}, axis=1, level={level})"
            said = ", ".join(map(str, symbols[:5]))
            raise BadCandlesError(f"The frame holds several symbols: {said}.", f"Choose one: {how}.")
    return frame.set_axis(names[fields], axis=1)


def _with_time(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its index as the column `open_time`, where it holds the times and no column does."""
    is_named = any(normalize(name) in NAMES["time"] for name in frame.columns)
    is_time = isinstance(frame.index, pd.DatetimeIndex) or normalize(frame.index.name) in NAMES["time"]
    return frame.assign(open_time=frame.index) if is_time and not is_named else frame


def _polars_values(series: Any) -> Any:
    """A column as NumPy holds it; aware times as aware times, without pyarrow."""
    if getattr(series.dtype, "time_zone", None) is None:
        return series.to_numpy()
    return pd.DatetimeIndex(series.dt.epoch("ms").to_numpy().view("M8[ms]")).tz_localize("UTC")


def _from_arrow(given: Any) -> pd.DataFrame:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise BadCandlesError("Arrow tables need pyarrow.", "pip install 'regime-pipeline[parquet]'") from error
    frame: pd.DataFrame = pa.table(given).to_pandas()
    return frame


def _from_rows(rows: Sequence[Any] | np.ndarray[Any, Any]) -> pd.DataFrame:
    """Rows without names in the order of ccxt, or as Binance answers; records by their own names."""
    if len(rows) and isinstance(rows[0], Mapping):
        return pd.DataFrame(list(rows))
    widths = [len(row) for row in rows] or [len(FIELDS)]
    odd = next((at for at, width in enumerate(widths) if width != widths[0]), 0)
    names = {len(FIELDS): FIELDS, len(BINANCE): BINANCE}.get(widths[odd])
    if odd or names is None:
        raise BadCandlesError(f"Row {odd} has {widths[odd]} values.", f"Rows are {_ROW}.")
    return pd.DataFrame(rows, columns=list(names))
