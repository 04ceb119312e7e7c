"""The regime check of Hummingbot's Condor, from its published formula: trend or range by a Kalman filter's slope.

`agents/adaptive_grid_trader/routines/kalman_regime_check.py` of hummingbot/condor (pull request 216, August 2026) with
its defaults. See `peers` for the others.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.evaluation.datasets import LabelledMarket
from regime_pipeline.services.backtest.classes import ABSTAIN, RANGE, TREND, VOLATILE, Classes

LOOKBACK_BARS: Final = 60
LEVEL_VARIANCE: Final = 100.0
SLOPE_VARIANCE: Final = 1.0
NOISE_VARIANCE: Final = 40.0
"""Of an observation; all three are squared dollars of BTC."""
PRICE: Final = 60_000.0
"""What prices are scaled to: the routine's floor of one dollar on its noise is meant for BTC."""
TREND_FROM: Final = 0.3
RANGE_TO: Final = 0.1
_FIRST_VARIANCE: Final = 1e6
_NOISE_BARS: Final = min(24, max(LOOKBACK_BARS // 6, 4))
_LEAST_NOISE: Final = 1.0


def kalman_ratio(close: Float64) -> Float64:
    """Return slope over noise of a local linear trend filter started on each window's first bar.

    Parameters
    ----------
    close : ndarray of float64, shape (n,)
        Prices, at least `LOOKBACK_BARS` of them.

    Returns
    -------
    ndarray of float64, shape (n,)
        Absolute slope a bar over the root mean square of the last ten innovations; NaN before the first whole window.
        Uses bars <= t.
    """
    windows = sliding_window_view(close, LOOKBACK_BARS)
    level, slope = windows[:, 0].copy(), np.zeros(len(windows))
    innovations = np.empty(windows.shape)
    turn, process = np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag([LEVEL_VARIANCE, SLOPE_VARIANCE])
    variance = np.eye(2) * _FIRST_VARIANCE
    for bar in range(LOOKBACK_BARS):
        variance = turn @ variance @ turn.T + process
        level = level + slope
        innovations[:, bar] = windows[:, bar] - level
        gain = variance[:, 0] / (variance[0, 0] + NOISE_VARIANCE)
        level, slope = level + gain[0] * innovations[:, bar], slope + gain[1] * innovations[:, bar]
        variance = variance - np.outer(gain, variance[0])
    noise = np.sqrt((innovations[:, -_NOISE_BARS:] ** 2).mean(axis=1))
    ratio = np.abs(slope) / np.maximum(noise, _LEAST_NOISE)
    return np.concatenate([np.full(LOOKBACK_BARS - 1, np.nan), ratio])


def kalman_classes(market: LabelledMarket) -> Classes:
    """Return what it says: TRENDING is TREND, RANGING is RANGE, and UNCERTAIN, its advice to hold, VOLATILE."""
    close = np.asarray(market.candles.close, dtype=np.float64)
    ratio = kalman_ratio(close / close[0] * PRICE)
    chosen = np.select([ratio >= TREND_FROM, ratio <= RANGE_TO], [TREND, RANGE], VOLATILE)
    return np.where(np.isnan(ratio), ABSTAIN, chosen).astype(np.int8)
