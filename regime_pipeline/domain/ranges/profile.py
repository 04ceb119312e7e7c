"""Range by the value area of the volume profile, on bins that lie at the same prices in every window.

Other methods and their consensus do not belong here.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.ranges.inputs import RangeInputs


def profile_edges(inputs: RangeInputs) -> Float64:
    """Return the edges of the value area, ticks; float64, shape (2, k), NaN without volume.

    Bins are a power of two of ticks wide, the widest with at least `profile_bins_per_atr` bins per ATR.
    """
    from regime_pipeline.domain.ranges.kernels import value_area

    windows, policy = inputs.windows, inputs.policy
    bars = windows.candles
    ticks = np.maximum(inputs.atr / policy.profile_bins_per_atr, 1.0)
    bin_ticks = np.left_shift(1, np.frexp(ticks)[1] - 1).astype(np.int64)
    edges: Float64 = value_area(
        bars.high, bars.low, bars.volume, windows.ends, bin_ticks, policy.profile_bars, policy.profile_share
    )
    return edges
