"""How large the last bars were, whether their size changes, and Wilder's ADX, which shares the ATR's recursion.

Ranks and scores do not belong here.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.feature_windows import Windows
from regime_pipeline.domain.rows import Rows, sign_codes


def wilder_features(windows: Windows) -> Rows:
    """Return ADX, ATR (ticks) and the changes of both in each window, restarted inside it as TA-Lib would."""
    from regime_pipeline.domain.feature_kernels import directional_moves, wilder

    bars, policy = windows.candles, windows.policy
    adx, is_rising, adx_change, dm_sign, atr, atr_change, vol_of_vol = wilder(
        directional_moves(bars.high, bars.low, bars.close),
        windows.ends,
        policy.window_bars,
        policy.adx_bars,
        policy.adx_rising_bars,
        policy.change_bars,
        policy.vol_of_vol_bars,
    )
    return {
        "adx": adx,
        "is_adx_rising": is_rising > 0,
        "adx_change": adx_change,
        "dm_direction": sign_codes(dm_sign),
        "atr": atr,
        "atr_change_log": atr_change,
        "vol_of_vol": vol_of_vol,
    }


def volatility_features(windows: Windows) -> Rows:
    """Return short realised volatility, its ratio to that of the whole window, and the ratio's direction."""
    from regime_pipeline.domain.feature_kernels import log_volatility

    policy = windows.policy
    level, ratio = log_volatility(
        windows.bar_variance, windows.candles.close, windows.ends, policy.rv_short_bars, policy.window_bars
    )
    beyond = np.where(np.abs(ratio) > policy.vol_steady_band, ratio, 0.0)
    return {"log_volatility": level, "vol_log_ratio": ratio, "vol_direction": sign_codes(beyond)}
