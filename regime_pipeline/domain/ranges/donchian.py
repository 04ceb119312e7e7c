"""Range by the highest high and lowest low of the bars before the newest one.

Other methods and their consensus do not belong here.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.ranges.inputs import RangeInputs


def donchian_edges(inputs: RangeInputs) -> Float64:
    """Return the Donchian channel lagged by one bar, ticks; float64, shape (2, k)."""
    from regime_pipeline.domain.feature_kernels import channel_extremes

    bars = inputs.windows.candles
    edges = channel_extremes(bars.high, bars.low, inputs.windows.ends, inputs.policy.donchian_bars)
    return np.asarray(edges, dtype=np.float64)
