"""The consensus of the range methods, and what the bars did at its edges.

See `methods` for how each method finds its edges, `scoring.scores` for how the evidence becomes a score.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.ranges.methods import (
    RangeInputs,
    channel_edges,
    donchian_edges,
    pivot_edges,
    profile_edges,
    quantile_edges,
)
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.policy import RangesPolicy

METHODS: Final = {
    "quantile": quantile_edges,
    "donchian": donchian_edges,
    "pivot": pivot_edges,
    "profile": profile_edges,
    "channel": channel_edges,
}


def discover_ranges(windows: Windows, atr: Float64, slope_t: Float64, policy: RangesPolicy) -> Rows:
    """Return every method's edges, their consensus and the evidence at its edges; prices in ticks.

    Parameters
    ----------
    windows : Windows
        Bars and the k windows to search.
    atr : ndarray of float64, shape (k,)
        Wilder ATR, ticks; below one tick it counts as one tick.
    slope_t : ndarray of float64, shape (k,)
        t-statistic of the log-price slope.
    policy : RangesPolicy
        Lengths and tolerances.

    Returns
    -------
    dict of str to ndarray, shape (k,)
        `range_low` and `range_high` are the medians of the methods' edges where at least `min_methods` returned and
        their mean pairwise IoU reaches `min_agreement`, else NaN. The evidence is taken at the medians even without
        consensus: it says why there is none.
    """
    from regime_pipeline.domain.features.ranges import kernels

    inputs = RangeInputs(windows, np.maximum(atr, 1.0), slope_t, policy)
    edges = {name: find(inputs) for name, find in METHODS.items()}
    lower, upper = (np.array([edge[side] for edge in edges.values()]) for side in range(2))
    methods, low, high, agreement = kernels.consensus(lower, upper)
    is_agreed = (methods >= policy.min_methods) & (agreement >= policy.min_agreement)
    return {
        **{f"{name}_low": edge[0] for name, edge in edges.items()},
        **{f"{name}_high": edge[1] for name, edge in edges.items()},
        "range_methods": methods,
        "range_low": np.where(is_agreed, low, np.nan),
        "range_high": np.where(is_agreed, high, np.nan),
        "range_agreement": agreement,
        "range_confidence": agreement * methods / len(METHODS),
        "range_width_atr": (high - low) / inputs.atr,
        **_evidence(inputs, low, high),
    }


def _evidence(inputs: RangeInputs, low: Float64, high: Float64) -> Rows:
    """What the last bars did at the edges."""
    from regime_pipeline.domain.features.ranges.kernels import edge_evidence

    windows, policy = inputs.windows, inputs.policy
    bars, ends, count = windows.candles, windows.ends, policy.quality_bars
    containment, touches_low, touches_high, traversals, failed = edge_evidence(
        *(bars.high, bars.low, bars.close, ends, low, high, inputs.atr),
        *(count, policy.touch_atr, policy.leave_atr, policy.reentry_bars),
    )
    moved = np.abs(bars.close[ends] - bars.close[ends - count])
    return {
        "containment": containment,
        "touches_low": np.nan_to_num(touches_low),
        "touches_high": np.nan_to_num(touches_high),
        "traversals": np.nan_to_num(traversals),
        "net_displacement": np.clip(moved / (high - low), 0.0, 1.0),
        "failed_breakouts": failed,
    }
