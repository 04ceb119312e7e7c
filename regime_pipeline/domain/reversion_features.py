"""How strongly the last bars reverted to where they came from.

Ranks and scores do not belong here.
"""

from __future__ import annotations

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.feature_windows import Windows
from regime_pipeline.domain.rows import Rows


def reversion_features(windows: Windows) -> Rows:
    """Return the mean reversion features of each window (regimes.md section 3)."""
    from regime_pipeline.domain import feature_kernels as kernels

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
    from regime_pipeline.domain.feature_kernels import crossings, sorted_closes

    close, ends, bars = windows.candles.close, windows.ends, windows.policy.crossings_bars
    ordered = sorted_closes(close, ends, bars)
    count: Float64 = crossings(close, ends, bars, ordered[:, (bars - 1) // 2] + ordered[:, bars // 2])
    return count
