"""Hourly verdicts for every face: stored rows where they are current, computed from stored candles elsewhere.

See the faces for how they look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.known_at import hour_known_at
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64, Window, to_iso
from regime_pipeline.domain.schema import FEATURES, SCORES, VERDICT_COLUMNS, Column
from regime_pipeline.domain.verdicts.engine import Analysis, analyze, reach_hours
from regime_pipeline.domain.verdicts.explanation import competing, explain
from regime_pipeline.policy import Policy
from regime_pipeline.storage.frames import column_values, utc_times

if TYPE_CHECKING:
    from regime_pipeline.services.chain.workspace import Workspace
    from regime_pipeline.storage.bulk.verdict_reads import StoredVerdicts

_TIMES: Final = ("open_time", "as_of_bar", "known_at")
_FIRST: Final = (
    *("verdict", "confidence", "hold_24h", "hold_72h", "direction", "dominant_risk", "trend_score", "mean_rev_score"),
    *("vol_change_score", "range_quality_score", "grid_capacity_score", "range_low", "range_high"),
    *("range_confidence", "competing", "factors", "policy_hash", "status"),
)
VERDICT_SUMMARY: Final = (*_TIMES, *_FIRST)
"""Columns of a verdict frame that say what an hour is and why; the others are what it was computed from."""
_DROPPED: Final = ("hour_start", "as_of_bar", "is_new_bar", "rules_met", "score_hash", "feature_hash")


def verdict_frame(found: Analysis, market: Market, hours: Int64, policy: Policy) -> pd.DataFrame:
    """Return analysis rows, decided under the policy, as the frame that `python_api.verdicts.verdicts` documents."""
    columns: dict[str, Any] = {
        "open_time": utc_times(hours + HOUR_MS - market.observation_ms),
        "as_of_bar": utc_times(found.verdicts["as_of_bar"]),
        "known_at": utc_times(hour_known_at(hours)),
    }
    layouts = ((VERDICT_COLUMNS, found.verdicts), (SCORES, found.scores), (FEATURES, found.features))
    known = {c.name: _values(c, rows[c.name]) for layout, rows in reversed(layouts) for c in layout}
    factors = explain(found.verdicts, found.scores, found.features, policy)
    known["competing"] = competing(found.verdicts)
    known["factors"] = [[factor.document() for factor in hour] for hour in factors]
    names = [*_FIRST, *(name for name in known if name not in (*_FIRST, *_DROPPED))]
    return pd.DataFrame(columns | {name: known[name] for name in names}, copy=False)


def _values(column: Column, values: np.ndarray[Any, Any]) -> Any:
    """A column's values, one repeated text as a categorical."""
    if column.kind == "text":
        return pd.Categorical(values)
    return column_values(column.kind, column.categories, values)


@dataclass(frozen=True, eq=False)
class VerdictSeries:
    """Verdicts of a market's hours.

    Parameters
    ----------
    frame : DataFrame
        `hour_start` and the columns of `regime_pipeline.verdicts`; one row per hour with recorded candles, in order.
    source : {"stored", "computed", "mixed"}
        Where they come from.
    """

    frame: pd.DataFrame
    source: str


def verdict_series(ws: Workspace, market: Market, window: Window) -> VerdictSeries:
    """Return the verdicts of the hours of a window for which candles are recorded.

    Raises
    ------
    MissingDataError
        The market is not stored.
    """
    from regime_pipeline.services.chain.stages import config_hashes  # needs a database, frames do not

    config_hash = config_hashes(ws.policy, ws.nulls)["regime_verdicts"]
    found = ws.warehouse.verdicts(market, window, config_hash, reach_hours(market, ws.policy))
    frame = verdict_frame(_completed(ws, found), market, found.hours, ws.policy)
    times = pd.DatetimeIndex(found.hours.view("M8[ms]")).tz_localize("UTC")
    frame.insert(0, "hour_start", times)
    return VerdictSeries(frame, _source(found))


def _source(found: StoredVerdicts) -> str:
    if found.is_current.all():
        return "stored"
    return "mixed" if found.is_current.any() else "computed"


def _completed(ws: Workspace, found: StoredVerdicts) -> Analysis:
    """Stored rows, with those of the other hours computed from the candles of the same moment."""
    stored = Analysis(*(found.rows[name] for name in ("features", "scores", "regime_verdicts")))
    if found.candles is None:
        return stored
    fresh = analyze(found.candles, found.hours[~found.is_current], ws.policy, ws.nulls)
    if not found.is_current.any():
        return fresh
    order = np.argsort(np.concatenate([found.hours[found.is_current], found.hours[~found.is_current]]))
    return Analysis(
        *(
            {name: np.concatenate([left[name], right[name]])[order] for name in right}
            for left, right in zip(stored, fresh, strict=True)
        )
    )


def newest_hour(ws: Workspace, market: Market) -> int:
    """Return the start of the newest hour with recorded candles, epoch milliseconds UTC.

    Raises
    ------
    MissingDataError
        The market has none.
    """
    newest = ws.warehouse.latest(market, "candle_hours")
    if newest is None:
        raise MissingDataError(f"{market} has no hours yet.", "Materialize its raw_candles first.")
    return newest


def verdict_of_hour(ws: Workspace, market: Market, hour_ms: int) -> tuple[pd.Series, str]:
    """Return the verdict of one hour and its source.

    Raises
    ------
    MissingDataError
        The hour's candles are not recorded.
    """
    found = verdict_series(ws, market, Window(hour_ms, hour_ms + HOUR_MS))
    if not len(found.frame):
        raise MissingDataError(
            f"There are no candles of {market} for the hour {to_iso(hour_ms)}.", "Materialize its raw_candles first."
        )
    return found.frame.iloc[0], found.source
