"""Stored rows as pandas frames.

See `warehouse` for reading them from the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.known_at import bar_known_at, hour_known_at
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.columns import BulkTable

_NAMES: Final = ("trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime")


def _by_state(name: str) -> tuple[NDArray[np.int8], pd.CategoricalDtype]:
    """Return the category code by state, and the categories in order of first use."""
    names = [getattr(state, name) for state in REGIME_STATES]
    categories = list(dict.fromkeys(names))
    return np.array([categories.index(text) for text in names], dtype=np.int8), pd.CategoricalDtype(categories)


_STATE_COLUMNS: Final = {name: _by_state(name) for name in _NAMES}


def regime_names(state: NDArray[Any]) -> dict[str, pd.Categorical]:
    """Return the five names of each state code as categoricals, in the order of the view `market_regimes`."""
    return {
        name: pd.Categorical.from_codes(codes[state], dtype=dtype, validate=False)
        for name, (codes, dtype) in _STATE_COLUMNS.items()
    }


def utc_times(times_ms: NDArray[Any]) -> pd.DatetimeIndex:
    """Return int64 epoch milliseconds as datetime64[ms, UTC]."""
    return pd.DatetimeIndex(np.ascontiguousarray(times_ms).view("M8[ms]")).tz_localize("UTC")


def column_values(kind: str, categories: Sequence[str], values: NDArray[Any]) -> Any:
    """Return the values of one column as a frame has them: times aware, labels and texts categorical."""
    if kind == "time":
        return utc_times(values)
    if kind == "label":
        return pd.Categorical.from_codes(values, dtype=pd.CategoricalDtype(list(categories)), validate=False)
    return values


def known_at_of(table: BulkTable, market: Market, times_ms: NDArray[Any]) -> Int64 | None:
    """Return from when on the rows of these times may be used, epoch milliseconds; None for candles themselves."""
    if table.time == "hour_start":
        return hour_known_at(times_ms)
    return bar_known_at(market, times_ms) if table.name == "candle_regime" else None


def to_frame(table: BulkTable, market: Market, rows: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """Return rows of a bulk table as a frame.

    Parameters
    ----------
    table : BulkTable
        Where the rows come from.
    market : Market
        Whose rows they are.
    rows : mapping of ndarray
        As `Warehouse.read_range` returns them.

    Returns
    -------
    DataFrame
        `known_at` follows `hour_start`, and the `open_time` of regimes. Times are datetime64[ms, UTC], labels
        categoricals. `state` is spelled out as trend_state, volatility_state, momentum_state, full_regime and
        simplified_regime.
    """
    columns: dict[str, Any] = {}
    for name, values in rows.items():
        if table.name == "candle_regime" and name == "state":
            columns |= regime_names(values)
        else:
            column = table.column(name)
            columns[name] = column_values(column.kind, column.categories, values)
        if name == table.time and (known_at := known_at_of(table, market, values)) is not None:
            columns["known_at"] = utc_times(known_at)
    return pd.DataFrame(columns, copy=False)
