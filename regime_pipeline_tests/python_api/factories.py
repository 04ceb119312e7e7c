"""Candles as a user's frame."""

from __future__ import annotations

import pandas as pd

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate

HOURLY = Market("CANDLES-USDT", "1h")


def candles(bars: int, timeframe: str = "1h", seed: int = 3) -> Candles:
    return simulate(HOURLY.on(timeframe), bars, seed, "easy").candles


def frame_of(found: Candles) -> pd.DataFrame:
    """The candles as a data provider hands them over."""
    times = pd.to_datetime(found.open_time_ms, unit="ms", utc=True)
    prices = {name: found.prices(name) for name in ("open", "high", "low", "close")}
    return pd.DataFrame({"open_time": times, **prices, "volume": found.volume})
