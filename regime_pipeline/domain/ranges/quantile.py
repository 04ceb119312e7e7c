"""Range by quantiles of the closes: robust against single spikes, always returns.

Other methods and their consensus do not belong here.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.ranges.inputs import RangeInputs


def quantile_edges(inputs: RangeInputs) -> Float64:
    """Return lower and upper quantile (linear) of each window's closes, ticks; float64, shape (2, k)."""
    from regime_pipeline.domain.feature_kernels import sorted_closes

    windows, policy = inputs.windows, inputs.policy
    last = policy.quantile_bars - 1
    ordered = sorted_closes(windows.candles.close, windows.ends, policy.quantile_bars)
    below, share = int(policy.quantile_tail * last), policy.quantile_tail * last % 1.0
    low, top = ordered[:, below], ordered[:, last - below]
    return np.array([low + share * (ordered[:, below + 1] - low), top - share * (top - ordered[:, last - below - 1])])
