"""The flat hourly row that dashboards and SQL users read, joined from what the stages before it wrote.

Only the hour's own prices are computed here. See `explanation` for the reason's wording, `dashboard` for pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Int64, Window, hour_of_close

Columns = dict[str, NDArray[Any]]
_FROM_VERDICTS: Final = (
    "as_of_bar",
    "verdict",
    "confidence",
    "direction",
    "dominant_risk",
    "range_low",
    "range_high",
    "range_confidence",
    "hold_24h",
    "hold_72h",
    "policy_hash",
)
_FROM_SCORES: Final = (
    "trend_score",
    "mean_rev_score",
    "vol_change_score",
    "range_quality_score",
    "grid_capacity_score",
)


def dashboard_rows(
    window: Window,
    *,
    verdicts: Columns,
    scores: Columns,
    hours: Columns,
    candles: Candles,
    regimes: Columns,
    reasons: Sequence[str],
) -> Columns:
    """Join one market's rows of a window into `schema.DASHBOARD_HOURS`.

    Parameters
    ----------
    window : Window
        The hours wanted, n of them; `verdicts`, `scores` and `hours` must hold a row for each, and no others.
    verdicts, scores, hours : dict of ndarray, each of shape (n,)
        Rows of `regime_verdicts`, `scores` and `candle_hours`, ascending by `hour_start`.
    candles : Candles
        Candles that closed in the window; earlier ones are ignored.
    regimes : dict of ndarray
        `open_time`, `state`, `confidence` of candle regimes up to the window's end; the newest one known at each
        hour's close is shown.
    reasons : sequence of str, n of them
        The sentence of each hour's deciding factor.

    Returns
    -------
    dict of ndarray, each of shape (n,)
        Prices in quote currency; NaN where no bar closed in the hour.
    """
    rows: Columns = {"hour_start": window.hours, "hour_status": hours["status"]}
    rows |= _hour_prices(window, candles)
    rows |= {name: verdicts[name] for name in _FROM_VERDICTS} | {name: scores[name] for name in _FROM_SCORES}
    rows |= _newest_regime(rows["as_of_bar"], regimes)
    rows["reason"] = np.array(list(reasons), dtype=object)
    return rows


def _hour_prices(window: Window, candles: Candles) -> Columns:
    """Open, high, low, close and volume of each hour; NaN (volume 0) where no bar closed in it."""
    hour = (hour_of_close(candles.market, candles.open_time_ms) - window.start_ms) // HOUR_MS
    inside = (hour >= 0) & (hour < len(window))
    bars, hour = candles[inside], hour[inside]
    first = np.searchsorted(hour, np.arange(len(window)), side="left")
    last = np.searchsorted(hour, np.arange(len(window)), side="right")
    has_bars = last > first
    start = first[has_bars]
    return {
        "open": _spread(has_bars, bars.prices("open")[start]),
        "high": _spread(has_bars, np.maximum.reduceat(bars.prices("high"), start) if len(start) else np.empty(0)),
        "low": _spread(has_bars, np.minimum.reduceat(bars.prices("low"), start) if len(start) else np.empty(0)),
        "close": _spread(has_bars, bars.prices("close")[last[has_bars] - 1]),
        "volume": np.bincount(hour, weights=bars.volume, minlength=len(window)),
    }


def _spread(has_bars: NDArray[np.bool_], values: Float64) -> Float64:
    """Put the values where there are bars, NaN elsewhere."""
    column = np.full(len(has_bars), np.nan)
    column[has_bars] = values
    return column


def _newest_regime(as_of_bar_ms: Int64, regimes: Columns) -> Columns:
    """3D regime of the newest bar known at each hour's close; UNDEFINED, confidence 0, where it has none."""
    row = np.searchsorted(regimes["open_time"], as_of_bar_ms)
    row_in = np.minimum(row, max(len(regimes["open_time"]) - 1, 0))
    if not len(regimes["open_time"]):
        return {"candle_state": np.zeros(len(row), np.int32), "candle_confidence": np.zeros(len(row))}
    is_same = regimes["open_time"][row_in] == as_of_bar_ms
    return {
        "candle_state": np.where(is_same, regimes["state"][row_in], 0).astype(np.int32),
        "candle_confidence": np.where(is_same, regimes["confidence"][row_in], 0.0),
    }
