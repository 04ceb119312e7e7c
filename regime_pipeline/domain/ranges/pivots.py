"""Range by clusters of confirmed swing pivots; a pivot counts only once the bars after it have closed.

Other methods and their consensus do not belong here.
"""

from __future__ import annotations

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.ranges.inputs import RangeInputs


def pivot_edges(inputs: RangeInputs) -> Float64:
    """Return the heaviest clusters of swing lows and highs, ticks; float64, shape (2, k), NaN without clusters."""
    from regime_pipeline.domain.ranges.kernels import pivot_band

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
