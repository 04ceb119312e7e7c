"""The conditions of each gate for a bar: name, value, threshold and outcome, from bars closed by then.

A value that is not known satisfies nothing. See `machine` for the order of the gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np

from regime_pipeline.domain.grids.comparison import capacity_policy
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.named_conditions import Condition, check
from regime_pipeline.domain.grids.probation import FreshRange, fresh_range
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.restart_gates.range_since_stop import ClassWeights
from regime_pipeline.domain.schema import CLASS_PROBABILITIES
from regime_pipeline.domain.scoring.grid_capacity import carries_grid, grid_capacity
from regime_pipeline.policy import Policy
from regime_pipeline.policy.gates import GateThresholds

OF_SCORES: Final = ("mean_rev_score", *CLASS_PROBABILITIES)
"""What gates read of the scores."""
MEASURED: Final = (
    *("adx", "adx_change", "efficiency_ratio_short", "bars_since_extreme", "median_crossings", "ou_half_life_bars"),
    *("vol_log_ratio", *OF_SCORES),
)
"""What gates 1 to 3 read of a bar's features and scores; nothing else, and no confidence."""


@dataclass(frozen=True, slots=True)
class GateBar:
    """One bar since a stop.

    Parameters
    ----------
    close_ms : int
        Its close, epoch milliseconds UTC.
    measured : mapping of str to float
        `MEASURED`; NaN where it is not known.
    candles : Candles
        Bars of the market closed by then; those opened before the stop change nothing.
    is_barred : bool
        Its verdict is TREND or TRANSITION.
    """

    close_ms: int
    measured: Mapping[str, float]
    candles: Candles
    is_barred: bool = False


def directional_energy(bar: GateBar, thresholds: GateThresholds) -> tuple[Condition, ...]:
    """Gate 1: the move that stopped the grid has lost its energy."""
    m = bar.measured
    adx, change = m["adx"], m["adx_change"]
    bound = thresholds.adx_falling_below if change < 0 else thresholds.adx_weak_below
    course = "falling over 6 bars" if change < 0 else "not falling over 6 bars"
    return (
        check("ADX_DECAY", adx, bound, course),
        check("EFFICIENCY", m["efficiency_ratio_short"], thresholds.efficiency_ratio_below),
        check("NO_NEW_EXTREME", m["bars_since_extreme"], thresholds.bars_since_extreme_from),
    )  # fmt: skip


def mean_reversion(bar: GateBar, thresholds: GateThresholds) -> tuple[Condition, ...]:
    """Gate 2: prices come back again."""
    m = bar.measured
    half_life = m["ou_half_life_bars"]
    return (
        check("MEAN_REVERSION", m["mean_rev_score"], thresholds.mean_rev_from),
        check("MEDIAN_CROSSINGS", m["median_crossings"], thresholds.median_crossings_from),
        check("HALF_LIFE_MIN", half_life, thresholds.half_life_min_bars),
        check("HALF_LIFE_MAX", half_life, thresholds.half_life_max_bars),
    )  # fmt: skip


def tradable_range(
    bar: GateBar,
    stopped_at_ms: int,
    config: GridConfig,
    policy: Policy,
    thresholds: GateThresholds,
    weights: ClassWeights | None = None,
) -> tuple[Condition, ...]:
    """Gate 3: volatility is usual, and the bars since the stop alone show a range that carries the grid.

    With weights since the stop (`range_since_stop`) that of the range must be large enough, too.
    """
    ratio = exp(bar.measured["vol_log_ratio"])
    found = fresh_range(bar.candles, stopped_at_ms, policy)
    tick = float(config.tick)
    width = (found.high - found.low) / max(found.atr, tick)
    levels = _levels(found, config, policy)
    return (
        check("VOLATILITY", ratio, thresholds.volatility_ratio_below),
        check("FRESH_BARS", found.bars, policy.grids.probation.min_post_stop_bars),
        check("FRESH_RANGE", float(found.low == found.low), 1),
        check("WIDTH_MIN", width, thresholds.width_min_atr),
        check("WIDTH_MAX", width, thresholds.width_max_atr),
        check("CAPACITY", levels, policy.grid_capacity.min_levels),
        *(() if weights is None else (check("RANGE_SINCE_STOP", weights[0], thresholds.range_since_stop_from),)),
    )


def _levels(found: FreshRange, config: GridConfig, policy: Policy) -> float:
    """Levels that a range carries at the grid's own costs, 0 where the gain is too small."""
    costs = capacity_policy(config, policy.grid_capacity)
    low, high, tick = (np.array([value]) for value in (found.low, found.high, float(config.tick)))
    capacity = grid_capacity(low, high, tick, costs)
    levels = capacity.levels.astype(np.float64)
    return float(levels[0]) if carries_grid(levels, capacity.net_gain_bps, costs)[0] else 0.0
