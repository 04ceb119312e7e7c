"""Range by the spread of the closes around their mean, where there is no slope that would make the mean meaningless.

Other methods and their consensus do not belong here.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.ranges.inputs import RangeInputs


def channel_edges(inputs: RangeInputs) -> Float64:
    """Return mean -/+ `channel_std` deviations of the closes, ticks; shape (2, k), NaN where the slope is not flat."""
    from regime_pipeline.domain.ranges.kernels import deviation_band

    windows, policy = inputs.windows, inputs.policy
    edges = deviation_band(windows.candles.close, windows.ends, policy.channel_bars, policy.channel_std)
    return np.where(np.abs(inputs.slope_t) < policy.channel_max_t, edges, np.nan)
