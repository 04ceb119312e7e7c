"""How directional the last bars were: efficiency, Wilder's ADX, slope and channel breakouts.

Ranks and scores do not belong here; neither does volatility, except the ATR that comes with the ADX.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.feature_windows import Windows
from regime_pipeline.domain.rows import Rows, sign_codes
from regime_pipeline.domain.window import Int64


def trend_features(windows: Windows, atr: Float64) -> Rows:
    """Return the trend features of each window, ATR and ADX aside.

    Parameters
    ----------
    windows : Windows
        Bars and the k windows to compute.
    atr : ndarray of float64, shape (k,)
        Wilder ATR, ticks.
    """
    from regime_pipeline.domain.feature_kernels import bars_since_extreme, slope_t

    bars, ends, policy = windows.candles, windows.ends, windows.policy
    moves = bars.close[ends] - bars.close[ends - policy.er_bars]
    return {
        "efficiency_ratio": efficiency_ratio(bars.close, ends, policy.er_bars),
        "efficiency_ratio_short": efficiency_ratio(bars.close, ends, policy.er_short_bars),
        "slope_t": slope_t(windows.log_close, ends, policy.slope_bars, policy.slope_lags),
        "donchian_excess_atr": donchian_excess(windows, atr),
        "bars_since_extreme": bars_since_extreme(bars.high, bars.low, ends, policy.extreme_bars),
        "direction": sign_codes(np.sign(moves).astype(np.float64)),
    }


def efficiency_ratio(close: Int64, ends: Int64, bars: int) -> Float64:
    """Return Kaufman's efficiency ratio, |net move| / path, 0..1; exact in ticks, 0 where nothing moved."""
    path = np.concatenate([[0], np.cumsum(np.abs(np.diff(close)))])
    walked = path[ends] - path[ends - bars]
    return np.asarray(np.abs(close[ends] - close[ends - bars]) / np.maximum(walked, 1), dtype=np.float64)


def donchian_excess(windows: Windows, atr: Float64) -> Float64:
    """Return how far the close stands beyond the channel of the bars before, in ATR, signed, capped, 0 inside.

    An ATR below one tick counts as one tick.
    """
    from regime_pipeline.domain.feature_kernels import channel_extremes

    bars, policy = windows.candles, windows.policy
    low, high = channel_extremes(bars.high, bars.low, windows.ends, policy.donchian_bars)
    close = bars.close[windows.ends]
    excess = np.maximum(close - high, 0) + np.minimum(close - low, 0)
    capped: Float64 = np.clip(excess / np.maximum(atr, 1.0), -policy.donchian_cap_atr, policy.donchian_cap_atr)
    return capped
