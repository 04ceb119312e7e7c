"""Indicators of candles as TA-Lib computes them, cut at anchors so that a value never depends on where the data start.

See `classifier` for the labels made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.holes import has_history, run_starts
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.policy import CandleRegimePolicy

BOLLINGER_DEVIATIONS: Final = 2.0
"""Half the width of a Bollinger band; no threshold, for it cancels in the rank that decides high volatility."""


@dataclass(frozen=True, eq=False)
class Indicators:
    """Indicators of n candles; every float array is float64 of shape (n,), NaN where there are too few bars.

    Parameters
    ----------
    age : ndarray of int64
        Bars before this one since the series began, or began again behind a hole (`market_data.holes`).
    is_known : ndarray of bool
        There are `min_history_bars` bars up to this one, with no more holes than the policy tolerates.
    adx, rsi : ndarray
        0..100.
    atr, macd_histogram, sma_fast, sma_slow : ndarray
        In ticks.
    roc : ndarray
        Percent.
    atr_share, band_width : ndarray
        ATR over close, and Bollinger width over middle.
    adx_spread, rsi_spread, roc_spread, macd_spread : ndarray
        Exponentially weighted standard deviation of the indicator over strictly earlier bars, in its own unit.

    Notes
    -----
    Uses bars <= t since the series began again; a tolerated hole is stepped over. Recursive values are a
    pure function of at most `anchor_bars + anchor_warmup_bars` bars; where it begins they begin cold, as TA-Lib does.
    """

    age: Int64
    is_known: NDArray[np.bool_]
    adx: Float64
    atr: Float64
    rsi: Float64
    roc: Float64
    macd_histogram: Float64
    adx_spread: Float64
    rsi_spread: Float64
    roc_spread: Float64
    macd_spread: Float64
    sma_fast: Float64
    sma_slow: Float64
    atr_share: Float64
    band_width: Float64


def compute_indicators(candles: Candles, policy: CandleRegimePolicy) -> Indicators:
    """Return every indicator that the 3D regime is made of."""
    from regime_pipeline.domain.candle_regimes import kernels as kernels
    from regime_pipeline.domain.candle_regimes.recursion_kernels import recursive_indicators

    bar = candles.open_time_ms // candles.market.step_ms
    starts, close = run_starts(candles, policy.holes), candles.close.astype(np.float64)
    sma_slow = kernels.moving_average(candles.close, starts, policy.sma_slow_bars)
    sma_slow[~has_history(bar, starts, policy.sma_slow_bars, policy.holes)] = np.nan
    rows = recursive_indicators(
        bar, starts, candles.high.astype(np.float64), candles.low.astype(np.float64), close, _periods(policy),
        2.0 / (policy.margin_spread_bars + 1), policy.anchor_bars, policy.anchor_warmup_bars,
    )  # fmt: skip
    middle = kernels.moving_average(candles.close, starts, policy.bollinger_bars)
    adx, atr, rsi, roc, histogram, adx_spread, rsi_spread, roc_spread, macd_spread = rows
    return Indicators(
        age=np.arange(len(bar)) - starts,
        is_known=has_history(bar, starts, policy.min_history_bars, policy.holes),
        adx=adx,
        atr=atr,
        rsi=rsi,
        roc=roc,
        macd_histogram=histogram,
        adx_spread=adx_spread,
        rsi_spread=rsi_spread,
        roc_spread=roc_spread,
        macd_spread=macd_spread,
        sma_fast=kernels.moving_average(candles.close, starts, policy.sma_fast_bars),
        sma_slow=sma_slow,
        atr_share=atr / close,
        band_width=kernels.band_width(close, middle, policy.bollinger_bars, BOLLINGER_DEVIATIONS),
    )


def _periods(policy: CandleRegimePolicy) -> NDArray[np.int64]:
    """Periods in the order in which the kernel takes them."""
    macd = (policy.macd_fast_bars, policy.macd_slow_bars, policy.macd_signal_bars)
    return np.array([policy.adx_bars, policy.atr_bars, policy.rsi_bars, policy.roc_bars, *macd], dtype=np.int64)
