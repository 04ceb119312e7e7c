"""The range, the ATR and the price since a stop, from bars that opened after it and from no other.

What grid follows stands in `probation`; whether a restart is allowed, in the gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.feature_windows import Windows
from regime_pipeline.domain.indicators import compute_indicators
from regime_pipeline.domain.ranges.consensus import discover_ranges
from regime_pipeline.policy import Policy

_WINDOWS: Final = ("quantile_bars", "donchian_bars", "pivot_bars", "profile_bars", "channel_bars", "quality_bars")


@dataclass(frozen=True, slots=True)
class FreshRange:
    """What the bars since a stop say; prices in quote currency.

    Parameters
    ----------
    bars : int
        Unbroken bars up to the newest, all opened at or after the stop.
    low, high : float
        Consensus edges; NaN without consensus or with too few bars.
    atr, close : float
        Wilder ATR begun cold at the first of these bars, and the newest close; NaN with too few bars.
    """

    bars: int
    low: float
    high: float
    atr: float
    close: float


def fresh_range(candles: Candles, stopped_at_ms: int, policy: Policy) -> FreshRange:
    """Return range, ATR and price from post-stop bars alone.

    Parameters
    ----------
    candles : Candles
        Bars closed by the moment of the decision; those opened before the stop, or before a gap, change nothing.
    stopped_at_ms : int
        When the grid was stopped, epoch milliseconds UTC.
    policy : Policy
        Range methods and their windows, each cut to the bars there are; `grids.probation.min_post_stop_bars`.
    """
    from regime_pipeline.domain.feature_kernels import slope_t

    since = candles.between(stopped_at_ms, 2**62)
    bars = int(compute_indicators(since, policy.candle_regime).age[-1]) + 1 if len(since) else 0
    if bars < policy.grids.probation.min_post_stop_bars:
        return FreshRange(bars, np.nan, np.nan, np.nan, np.nan)
    unbroken = since[len(since) - bars :]
    atr = compute_indicators(unbroken, policy.candle_regime).atr[-1:]
    windows = Windows.of(unbroken, np.array([bars - 1]), policy.features)
    slope = slope_t(windows.log_close, windows.ends, min(policy.features.slope_bars, bars), policy.features.slope_lags)
    cut = {name: min(getattr(policy.ranges, name), bars - 1) for name in _WINDOWS}
    found = discover_ranges(windows, atr, slope, policy.ranges.model_copy(update=cut))
    low, high, width, close = (
        float(value[0]) / candles.price_scale
        for value in (found["range_low"], found["range_high"], atr, unbroken.close[-1:])
    )
    return FreshRange(bars, low, high, width, close)
