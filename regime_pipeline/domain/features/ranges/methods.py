"""Range discovery: five methods, each from the window of bars to a lower and an upper edge.

See `consensus` for how they are combined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.policy import RangesPolicy

_ROUND_TICKS: Final = np.outer(10 ** np.arange(18, dtype=np.int64), [1, 2, 5]).ravel()
"""Widths of a profile's bins in ticks, ascending; int64."""
_ROUNDING: Final = 1.0 + 1e-9
"""An ATR that misses a width by rounding alone reaches it, at every price scale."""


@dataclass(frozen=True, eq=False)
class RangeInputs:
    """The windows with what the methods scale by.

    Parameters
    ----------
    windows : Windows
        Bars and the k windows to search.
    atr : ndarray of float64, shape (k,)
        Wilder ATR in ticks, at least one tick.
    slope_t : ndarray of float64, shape (k,)
        t-statistic of the log-price slope.
    policy : RangesPolicy
        Lengths and tolerances.
    """

    windows: Windows
    atr: Float64
    slope_t: Float64
    policy: RangesPolicy


def channel_edges(inputs: RangeInputs) -> Float64:
    """Return mean -/+ `channel_std` deviations of the closes, ticks; shape (2, k), NaN where the slope is not flat."""
    from regime_pipeline.domain.features.ranges.kernels import deviation_band

    windows, policy = inputs.windows, inputs.policy
    edges = deviation_band(windows.candles.close, windows.ends, policy.channel_bars, policy.channel_std)
    return np.where(np.abs(inputs.slope_t) < policy.channel_max_t, edges, np.nan)


def donchian_edges(inputs: RangeInputs) -> Float64:
    """Return the Donchian channel lagged by one bar, ticks; float64, shape (2, k)."""
    from regime_pipeline.domain.features.kernels import channel_extremes

    bars = inputs.windows.candles
    edges = channel_extremes(bars.high, bars.low, inputs.windows.ends, inputs.policy.donchian_bars)
    return np.asarray(edges, dtype=np.float64)


def quantile_edges(inputs: RangeInputs) -> Float64:
    """Return lower and upper quantile (linear) of each window's closes, ticks; float64, shape (2, k)."""
    from regime_pipeline.domain.features.kernels import sorted_closes

    windows, policy = inputs.windows, inputs.policy
    last = policy.quantile_bars - 1
    ordered = sorted_closes(windows.candles.close, windows.ends, policy.quantile_bars)
    below, share = int(policy.quantile_tail * last), policy.quantile_tail * last % 1.0
    low, top = ordered[:, below], ordered[:, last - below]
    return np.array([low + share * (ordered[:, below + 1] - low), top - share * (top - ordered[:, last - below - 1])])


def pivot_edges(inputs: RangeInputs) -> Float64:
    """Return the heaviest clusters of swing lows and highs, ticks; float64, shape (2, k), NaN without clusters."""
    from regime_pipeline.domain.features.ranges.kernels import pivot_band

    bars, policy = inputs.windows.candles, inputs.policy
    edges: Float64 = pivot_band(
        bars.high,
        bars.low,
        inputs.windows.ends,
        inputs.atr,
        policy.pivot_bars,
        policy.pivot_side_bars,
        policy.pivot_cluster_atr,
        policy.pivot_min_count,
    )
    return edges


def profile_edges(inputs: RangeInputs) -> Float64:
    """Return the edges of the value area, ticks; float64, shape (2, k), NaN without volume.

    Bins are 1, 2 or 5 times a power of ten of ticks wide, the widest with at least `profile_bins_per_atr` bins per ATR,
    so that they lie at the same prices whatever decimal price scale the ticks have.
    """
    from regime_pipeline.domain.features.ranges.kernels import value_area

    windows, policy = inputs.windows, inputs.policy
    bars = windows.candles
    ticks = np.maximum(inputs.atr / policy.profile_bins_per_atr, 1.0)
    bin_ticks = _ROUND_TICKS[np.searchsorted(_ROUND_TICKS, ticks * _ROUNDING, side="right") - 1]
    edges: Float64 = value_area(
        bars.high, bars.low, bars.volume, windows.ends, bin_ticks, policy.profile_bars, policy.profile_share
    )
    return edges
