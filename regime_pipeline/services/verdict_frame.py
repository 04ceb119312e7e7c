"""Rows of an analysis as the frame that people see: one row per observation, names instead of codes.

Which hours are analyzed, and from what, does not belong here.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson
import pandas as pd

from regime_pipeline.domain.analysis import Analysis
from regime_pipeline.domain.layout import FEATURES, SCORES, VERDICT_COLUMNS, Column
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.window import Int64
from regime_pipeline.frames import column_values, utc_times

_FIRST: Final = (
    *("verdict", "confidence", "direction", "dominant_risk", "trend_score", "mean_rev_score", "vol_change_score"),
    *("range_quality_score", "grid_capacity_score", "range_low", "range_high", "range_confidence", "competing"),
    *("factors", "policy_hash"),
)
_DROPPED: Final = ("hour_start", "as_of_bar", "is_new_bar", "policy_hash")


def verdict_frame(found: Analysis, market: Market, hours: Int64) -> pd.DataFrame:
    """Return analysis rows as the frame that `verdicts` documents."""
    columns: dict[str, Any] = {
        "open_time": utc_times(hours + HOUR_MS - market.observation_ms),
        "as_of_bar": utc_times(found.verdicts["as_of_bar"]),
    }
    layouts = ((VERDICT_COLUMNS, found.verdicts), (SCORES, found.scores), (FEATURES, found.features))
    known = {c.name: (c, rows[c.name]) for layout, rows in reversed(layouts) for c in layout}
    names = [*_FIRST, *(name for name in known if name not in (*_FIRST, *_DROPPED))]
    columns |= {name: _values(*known[name]) for name in names}
    return pd.DataFrame(columns, copy=False)


def _values(column: Column, values: np.ndarray[Any, Any]) -> Any:
    """A column's values, JSON parsed unless a reader already has, one repeated text as a categorical."""
    if column.kind == "json":
        return [orjson.loads(text) if isinstance(text, str) else text for text in values]
    if column.kind == "text":
        return pd.Categorical(values)
    return column_values(column.kind, column.categories, values)
