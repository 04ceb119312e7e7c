"""Stored rows as pandas frames.

Reading them from the database belongs to `warehouse`, what each kind of column becomes to `regime_pipeline.frames`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from regime_pipeline.frames import column_values, regime_names
from regime_pipeline.storage.bulk_tables import BulkTable


def to_frame(table: BulkTable, rows: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """Return rows of a bulk table as a frame.

    Parameters
    ----------
    table : BulkTable
        Where the rows come from.
    rows : mapping of ndarray
        As `Warehouse.read_range` returns them.

    Returns
    -------
    DataFrame
        Times are datetime64[ms, UTC], labels categoricals. `state` is spelled out as trend_state, volatility_state,
        momentum_state, full_regime and simplified_regime.
    """
    columns: dict[str, Any] = {}
    for name, values in rows.items():
        if table.name == "candle_regime" and name == "state":
            columns |= regime_names(values)
        else:
            column = table.column(name)
            columns[name] = column_values(column.kind, column.categories, values)
    return pd.DataFrame(columns, copy=False)
