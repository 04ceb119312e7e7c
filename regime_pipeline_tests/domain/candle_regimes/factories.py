"""Candles for tests of the 3D regime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.policy import default_policy

MARKET = Market("BTC-USDT", "1h")
POLICY = default_policy().candle_regime
FIRST_BAR = 438_000


def from_closes(closes: NDArray[np.float64], first_bar: int = FIRST_BAR, scale: int = 100) -> Candles:
    """Candles that open at the close before, with small wicks."""
    opens = np.concatenate([closes[:1], closes[:-1]])
    wick = 0.0005 * closes
    times = (first_bar + np.arange(len(closes), dtype=np.int64)) * MARKET.step_ms
    prices = [opens, np.maximum(opens, closes) + wick, np.minimum(opens, closes) - wick, closes]
    return Candles.from_prices(MARKET, scale, times, prices, np.ones(len(closes)))


def walk(bars: int, seed: int, first_bar: int = FIRST_BAR) -> Candles:
    """Driftless walk with heavy tails."""
    steps = np.random.default_rng(seed).standard_t(5, bars) * 0.004
    return from_closes(30_000 * np.exp(np.cumsum(steps)), first_bar)


def without(candles: Candles, first: int, count: int) -> Candles:
    """The same candles with a hole of `count` bars from row `first` on."""
    return concatenate([candles[:first], candles[first + count :]])
