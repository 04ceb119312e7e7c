"""How many grid levels a range can carry net of fees, and what a round trip earns.

A configured grid's own costs come in as another policy. See `grids.advice` for whether to run a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.policy import GridCapacityPolicy

_BPS: Final = 1e-4
_ROUNDING_BPS: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Capacity:
    """What a range can carry.

    Parameters
    ----------
    levels : ndarray of int64, shape (n,)
        Intervals that fit; 0 where there is no range.
    net_gain_bps : ndarray of float64, shape (n,)
        Gain of one round trip after two fees and slippage; NaN where no interval fits.
    score : ndarray of float64, shape (n,)
        GridCapacityScore, 0..100; 0 where nothing fits.
    """

    levels: NDArray[np.int64]
    net_gain_bps: Float64
    score: Float64


def grid_capacity(low: Float64, high: Float64, tick: Float64, policy: GridCapacityPolicy) -> Capacity:
    """Return the capacity of geometric grids between the edges.

    Parameters
    ----------
    low, high, tick : ndarray of float64, shape (n,)
        Edges and price tick, quote currency; NaN edges where there is no range. A lower edge at or below zero carries
        no geometric grid.
    policy : GridCapacityPolicy
        Fees, slippage, capital and limits.

    Notes
    -----
    The narrowest spacing leaves `min_gain_bps` after two fees and slippage and is at least a tick. Levels are the
    fewest of those that fit by width, those the capital can fund at `notional_margin` times the smallest order, and
    `full_levels`: beyond these, more levels only thin the gain.
    """
    fee, slippage = policy.fee_bps * _BPS, policy.slippage_bps * _BPS
    narrowest = (1.0 + policy.min_gain_bps * _BPS + slippage) / (1.0 - fee) ** 2 - 1.0
    low = np.where(low > 0.0, low, np.nan)
    spacing = np.maximum(tick / low, narrowest)
    by_width = np.floor(np.nan_to_num(np.log(high / low) / np.log1p(spacing)))
    by_capital = policy.capital_quote // (policy.notional_margin * policy.min_notional_quote)
    levels = np.minimum(by_width, min(by_capital, policy.full_levels)).astype(np.int64)
    ratio = np.where(levels > 0, high / low, np.nan) ** (1.0 / np.maximum(levels, 1))
    gain = ratio * (1.0 - fee) ** 2 - 1.0 - slippage
    filled = np.clip((levels - policy.zero_levels) / (policy.full_levels - policy.zero_levels), 0.0, 1.0)
    earned = np.clip(gain / (2.0 * fee), 0.0, 1.0) if fee else np.ones(len(gain))
    return Capacity(levels, gain / _BPS, 100.0 * np.nan_to_num(filled * earned))


def carries_grid(levels: Float64, net_gain_bps: Float64, policy: GridCapacityPolicy) -> NDArray[np.bool_]:
    """Return whether enough levels fit with enough gain; False where nothing fits."""
    return (levels >= policy.min_levels) & (net_gain_bps >= policy.min_gain_bps - _ROUNDING_BPS)
