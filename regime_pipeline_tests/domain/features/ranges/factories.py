"""Windows for one range discovery method at a time."""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.features.ranges.methods import RangeInputs
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline_tests.domain.verdicts.factories import POLICY, newest_window


def newest_inputs(candles: Candles, atr: float = 10.0, slope_t: float = 0.0) -> RangeInputs:
    """The window that ends with the last candle."""
    return RangeInputs(newest_window(candles), np.array([atr]), np.array([slope_t]), POLICY.ranges)
