"""Hourly rows of advice: each hour's verdict and bars against the version of the grid that was valid at its close.

Nothing after an hour's close is used, and nothing is carried from row to row. See `advice` for the rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import numpy as np

from regime_pipeline.domain.columnar import DTYPES, Rows, rows_at
from regime_pipeline.domain.factors import Factor
from regime_pipeline.domain.grids.advice import NO_GRID, decide
from regime_pipeline.domain.grids.advice_explanation import NO_GRID_FACTOR, explain_advice
from regime_pipeline.domain.grids.advice_state import Decisions, Situation
from regime_pipeline.domain.grids.comparison import compare
from regime_pipeline.domain.grids.config import GridConfig, GridConfigError
from regime_pipeline.domain.grids.graduation import graduation_rows
from regime_pipeline.domain.grids.schema import GRID_ADVICE, without_stop
from regime_pipeline.domain.grids.versions import repositions_ms, valid_at
from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.hold.probability import hold_columns
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import VARIANCES
from regime_pipeline.policy import Policy

SECTIONS: Final = ("grids", "grid_capacity", "gates")
"""Policy sections that advice depends on, besides those of its verdict."""
_CALENDAR: Final = ("hour_start", "as_of_bar", "is_new_bar")


def advice_lookback_bars(policy: Policy) -> int:
    """Return how many bars up to and including its newest one a row depends on."""
    return policy.grids.outside_closes


def advice_hash(verdict_hash: str, policy: Policy) -> str:
    """Return the hash of everything advice depends on but the grid, given that of its verdict."""
    return hashlib.sha256(f"{verdict_hash}{policy.hash_of(*SECTIONS)}".encode()).hexdigest()[:16]


def grid_advice_rows(
    hours: Int64,
    verdicts: Rows,
    features: Rows,
    candles: Candles,
    history: Sequence[GridConfig],
    policy: Policy,
    gates: Rows | None = None,
    scores: Rows | None = None,
    hold: HoldModel | None = None,
) -> Rows:
    """Return the advice of each hour.

    Parameters
    ----------
    hours : ndarray of int64, shape (n,)
        Starts of the hours, epoch milliseconds UTC, ascending.
    verdicts, features : Rows
        A row for each hour; where a probationary grid runs, of the verdicts also since its start
        (`graduation.probation_from_ms`). Others change nothing.
    candles : Candles
        Bars of the market; a row uses the last `advice_lookback_bars` bars closed by the end of its hour, and those
        since the start of a probationary grid.
    history : sequence of GridConfig
        Versions of the symbol's grid, oldest first; empty without a grid. A row uses those valid from its hour's
        close or earlier, and no other.
    policy : Policy
        Sections `grids` and `grid_capacity`.
    gates : Rows, optional
        `restart_gates.replay.gate_rows` of the same hours; without them no stop is in force.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `schema.GRID_ADVICE`. Hours without a grid say NO_GRID, hours without a verdict NO_VERDICT.

    Raises
    ------
    MissingDataError
        An hour has no verdict or feature row.
    GridConfigError
        The history is another symbol's.
    """
    _refuse_other_symbol(history, candles.market)
    own, measured = rows_at(verdicts, hours, "verdicts"), rows_at(features, hours, "features")
    stopped = without_stop(len(hours)) if gates is None else gates
    rows = _without_grid(len(hours)) | {name: verdicts[name][own] for name in _CALENDAR} | stopped
    rows["graduation"] = graduation_rows(hours, history, candles, verdicts, policy.grids.graduation)
    rows["advice_hash"] = np.array([advice_hash(text, policy) for text in verdicts["policy_hash"][own]], dtype=object)
    verdict = {name: verdicts[name][own] for name in ("verdict", "range_low", "range_high")}
    places = valid_at(history, hours + HOUR_MS)
    since = _bars_since(repositions_ms(history), hours + HOUR_MS, candles.market.step_ms)
    for place in np.unique(places[places >= 0]).tolist():
        at = np.flatnonzero(places == place)
        chosen = {name: column[at] for name, column in verdict.items()}
        closes = _recent_closes(candles, rows["as_of_bar"][at], policy.grids.outside_closes)
        moved = {"bars_since_reposition": since[at], "gate_state": stopped["gate_state"][at]}
        found = _of_version(history[place], chosen, features["atr"][measured[at]], closes, moved, policy)
        edges = float(history[place].lower), float(history[place].upper)
        found |= hold_columns(closes[0], *edges, _variances(scores, hours[at]), hold, candles.market)
        for name, column in found.items():
            rows[name][at] = column
    return {column.name: rows[column.name] for column in GRID_ADVICE}


def _refuse_other_symbol(history: Sequence[GridConfig], market: Market) -> None:
    """Refuse a grid of another symbol."""
    others = [config.symbol for config in history if config.symbol != market.symbol]
    if others:
        raise GridConfigError([f"symbol = {others[0]!r}: must be {market.symbol}, the market's"])


def _without_grid(count: int) -> Rows:
    """Rows of hours without a grid."""
    rows: Rows = {
        column.name: np.full(count, np.nan if column.kind == "float" else 0, dtype=DTYPES[column.kind])
        for column in GRID_ADVICE
    }
    return rows | {"status": np.full(count, NO_GRID, dtype=np.int8)}


def _of_version(config: GridConfig, verdict: Rows, atr: Float64, closes: Float64, moved: Rows, policy: Policy) -> Rows:
    """The computed columns of the hours of one version; `closes` has shape (outside_closes, n), newest first."""
    low, high = verdict["range_low"], verdict["range_high"]
    compared = compare(config, low, high, atr, policy.grid_capacity)
    beyond = (closes < float(config.lower)) | (closes > float(config.upper))
    outside = np.logical_and.accumulate(beyond).sum(axis=0).astype(np.int32)
    situation = Situation.of(config, **verdict, **moved, iou=compared.iou, close=closes[0], closes_outside=outside)
    decided = decide(situation, policy.grids)
    return {
        **vars(decided),
        "enabled": np.full(len(atr), config.enabled),
        "config_version": np.full(len(atr), config.version),
        "close": closes[0],
        "closes_outside": outside,
        "edge_distance_atr": _edge_distance(config, closes[0], atr),
        "iou": compared.iou,
        "lower_offset_atr": compared.lower_offset_atr,
        "upper_offset_atr": compared.upper_offset_atr,
        "configured_levels": np.full(len(atr), config.levels),
        "configured_net_gain_bps": np.full(len(atr), min(config.net_gains_bps)),
        "capacity_then": np.full(len(atr), compared.then.score[0]),
        "capacity_now": np.where(np.isnan(low), np.nan, compared.now.score),
        "capacity_levels_now": compared.now.levels,
        "capacity_net_gain_now_bps": compared.now.net_gain_bps,
        "bars_since_reposition": moved["bars_since_reposition"],
    }


def _edge_distance(config: GridConfig, close: Float64, atr: Float64) -> Float64:
    """How far each close is beyond the nearer edge, in ATR of at least one tick; negative inside."""
    beyond = np.maximum(float(config.lower) - close, close - float(config.upper))
    return np.asarray(beyond / np.maximum(atr, float(config.tick)), dtype=np.float64)


def _variances(scores: Rows | None, hours: Int64) -> Float64:
    """Mean squared returns known at each hour; float64, shape (3, n), NaN without score rows."""
    if scores is None:
        return np.full((3, len(hours)), np.nan)
    at = rows_at(scores, hours, "scores")
    return np.array([scores[name][at] for name in VARIANCES])


def explain_rows(advice: Rows, verdicts: Rows, history: Sequence[GridConfig], policy: Policy) -> list[list[Factor]]:
    """Return the factors behind stored rows of advice.

    Parameters
    ----------
    advice, verdicts : Rows
        Rows of the same n hours; of the verdicts `verdict`, `range_low` and `range_high`.
    history : sequence of GridConfig
        Versions of the symbol's grid, oldest first.
    policy : Policy
        The one that the advice was decided under.

    Returns
    -------
    list of list of Factor, n lists
        See `advice_explanation`; one factor alone where no grid was configured, or where its version is not known.
    """
    found: list[list[Factor]] = [[NO_GRID_FACTOR] for _ in range(len(advice["config_version"]))]
    by_version = {config.version: config for config in history}
    for version in set(advice["config_version"].tolist()) & by_version.keys():
        at = np.flatnonzero(advice["config_version"] == version)
        mine = {name: column[at] for name, column in advice.items()}
        ranges = {name: verdicts[name][at] for name in ("verdict", "range_low", "range_high")}
        seen = {name: mine[name] for name in ("iou", "close", "closes_outside", "bars_since_reposition", "gate_state")}
        situation = Situation.of(by_version[version], **ranges, **seen)
        decided = Decisions(**{field.name: mine[field.name] for field in fields(Decisions)})
        for place, factors in zip(at.tolist(), explain_advice(situation, decided, policy.grids), strict=True):
            found[place] = factors
    return found


def _recent_closes(candles: Candles, as_of_bar: Int64, count: int) -> Float64:
    """Closes of the newest bars, newest first, NaN where a bar is missing; float64, shape (count, n)."""
    times, close = np.append(candles.open_time_ms, -1), np.append(candles.prices("close"), np.nan)
    wanted = as_of_bar - np.arange(count)[:, None] * candles.market.step_ms
    at = np.searchsorted(candles.open_time_ms, wanted)
    return np.where(times[at] == wanted, close[at], np.nan)


def _bars_since(moved_ms: Int64, moments_ms: Int64, step_ms: int) -> Float64:
    """Bars closed since the newest of the moves known at each moment; NaN where there is none."""
    last = np.searchsorted(moved_ms, moments_ms, side="right") - 1
    moved = np.append(moved_ms, 0)[last]
    return np.where(last >= 0, (moments_ms // step_ms - moved // step_ms).astype(np.float64), np.nan)
