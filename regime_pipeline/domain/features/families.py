"""The features by family: trend, mean reversion and volatility.

See `ranges` for discovered ranges, `scoring` for ranks and scores.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.columnar import Rows, sign_codes
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.window import Int64


def reversion_features(windows: Windows) -> Rows:
    """Return the mean reversion features of each window (regimes.md section 3)."""
    from regime_pipeline.domain.features import kernels

    ends, log_close, policy = windows.ends, windows.log_close, windows.policy
    ou_t, half_life = kernels.mean_reversion(log_close, ends, policy.ou_bars)
    return {
        "variance_ratio_z": kernels.variance_ratio_z(
            log_close, ends, policy.variance_ratio_bars, policy.variance_ratio_q
        ),
        "ou_t": ou_t,
        "ou_half_life_bars": half_life,
        "median_crossings": median_crossings(windows),
        "autocorrelation": kernels.autocorrelation(log_close, ends, policy.autocorrelation_bars),
        "hurst": kernels.generalised_hurst(log_close, ends, policy.window_bars, policy.hurst_lags),
    }


def median_crossings(windows: Windows) -> Float64:
    """Return how often the closes cross their window's median; float64, shape (k,)."""
    from regime_pipeline.domain.features.kernels import crossings, sorted_closes

    close, ends, bars = windows.candles.close, windows.ends, windows.policy.crossings_bars
    ordered = sorted_closes(close, ends, bars)
    count: Float64 = crossings(close, ends, bars, ordered[:, (bars - 1) // 2] + ordered[:, bars // 2])
    return count


def wilder_features(windows: Windows) -> Rows:
    """Return ADX, ATR (ticks) and the changes of both in each window, restarted inside it as TA-Lib would."""
    from regime_pipeline.domain.features.kernels import directional_moves, wilder

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
    from regime_pipeline.domain.features.kernels import log_volatility

    policy = windows.policy
    level, ratio = log_volatility(
        windows.bar_variance, windows.candles.close, windows.ends, policy.rv_short_bars, policy.window_bars
    )
    beyond = np.where(np.abs(ratio) > policy.vol_steady_band, ratio, 0.0)
    return {"log_volatility": level, "vol_log_ratio": ratio, "vol_direction": sign_codes(beyond)}


def trend_features(windows: Windows, atr: Float64) -> Rows:
    """Return the trend features of each window, ATR and ADX aside.

    Parameters
    ----------
    windows : Windows
        Bars and the k windows to compute.
    atr : ndarray of float64, shape (k,)
        Wilder ATR, ticks.
    """
    from regime_pipeline.domain.features.kernels import bars_since_extreme, slope_t

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
    from regime_pipeline.domain.features.kernels import channel_extremes

    bars, policy = windows.candles, windows.policy
    low, high = channel_extremes(bars.high, bars.low, windows.ends, policy.donchian_bars)
    close = bars.close[windows.ends]
    excess = np.maximum(close - high, 0) + np.minimum(close - low, 0)
    capped: Float64 = np.clip(excess / np.maximum(atr, 1.0), -policy.donchian_cap_atr, policy.donchian_cap_atr)
    return capped
