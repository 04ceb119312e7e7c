"""Hourly closes as candles, and the numbers of an earlier fit whose results were worked out elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate

HOURLY = Market("ETH-USDT", "1h")
WORKED = HoldModel(-0.29149, 0.34668, 0.38999, 0.17419, -0.74042, -0.10454)
"""Check values for these six numbers were computed independently of this package."""


def simulated(bars: int, timeframe: str = "1h", seed: int = 5) -> Candles:
    return simulate(HOURLY.on(timeframe), bars, seed, "medium").candles


def hours_of(candles: Candles, step_hours: int = 1) -> NDArray[np.int64]:
    """Starts of the hours that end with a close."""
    closes = candles.close_time_ms
    return closes[closes % (step_hours * 3_600_000) == 0] - 3_600_000
