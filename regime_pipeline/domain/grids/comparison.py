"""A configured grid beside the discovered range: overlap, edge offsets, and what each of the two can carry.

See `advice` for what follows from it, `features.ranges` for how a range is discovered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.scoring.grid_capacity import Capacity, grid_capacity
from regime_pipeline.policy import GridCapacityPolicy


@dataclass(frozen=True, eq=False)
class Comparison:
    """One configured grid beside n discovered ranges.

    Parameters
    ----------
    iou : ndarray of float64, shape (n,)
        Intersection over union of the two price spans, 0..1; NaN without a discovered range.
    lower_offset_atr, upper_offset_atr : ndarray of float64, shape (n,)
        Discovered edge less configured edge, in ATR; NaN without a discovered range or without an ATR.
    now, then : Capacity
        What the discovered range (shape (n,)) and the configured one (shape (1,)) carry at the grid's own costs.
    """

    iou: Float64
    lower_offset_atr: Float64
    upper_offset_atr: Float64
    now: Capacity
    then: Capacity


def compare(config: GridConfig, low: Float64, high: Float64, atr: Float64, policy: GridCapacityPolicy) -> Comparison:
    """Return how discovered ranges stand to a configured grid.

    Parameters
    ----------
    config : GridConfig
        The grid; its fees, capital, smallest order and tick replace those of the policy.
    low, high : ndarray of float64, shape (n,)
        Discovered edges, quote currency; NaN where there is no consensus.
    atr : ndarray of float64, shape (n,)
        Wilder ATR, quote currency; an ATR below one tick counts as one tick.
    policy : GridCapacityPolicy
        Slippage, least gain and limits.
    """
    lower, upper, tick = float(config.lower), float(config.upper), float(config.tick)
    scale = np.maximum(atr, tick)
    costs = capacity_policy(config, policy)
    ticks = np.full(len(low), tick)
    return Comparison(
        iou=overlap(low, high, lower, upper),
        lower_offset_atr=(low - lower) / scale,
        upper_offset_atr=(high - upper) / scale,
        now=grid_capacity(low, high, ticks, costs),
        then=grid_capacity(np.array([lower]), np.array([upper]), np.array([tick]), costs),
    )


def overlap(low: Float64, high: Float64, lower: float, upper: float) -> Float64:
    """Return intersection over union of spans [low, high] with one span; float64, same shape, NaN for NaN edges."""
    shared = np.maximum(np.minimum(high, upper) - np.maximum(low, lower), 0.0)
    return np.asarray(shared / ((high - low) + (upper - lower) - shared), dtype=np.float64)


def edge_distance_pct(config: GridConfig, close: float) -> float:
    """Return the way from a close to the nearest edge of a grid, percent of that edge; negative outside."""
    lower, upper = float(config.lower), float(config.upper)
    return 100.0 * min((close - lower) / lower, (upper - close) / upper)


def capacity_policy(config: GridConfig, policy: GridCapacityPolicy) -> GridCapacityPolicy:
    """Return the policy with the costs and limits of a configured grid in place of its own."""
    return policy.model_copy(
        update={
            "fee_bps": float(config.maker_fee_bps),
            "capital_quote": float(config.allocation_quote),
            "min_notional_quote": float(config.min_notional),
        }
    )
