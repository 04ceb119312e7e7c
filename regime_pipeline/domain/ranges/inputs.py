"""What every range discovery method looks at.

The methods themselves stand one per file beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.feature_windows import Windows
from regime_pipeline.policy import RangesPolicy


@dataclass(frozen=True, eq=False)
class RangeInputs:
    """The windows with what the methods scale by.

    Parameters
    ----------
    windows : Windows
        Bars and the k windows to search.
    atr : ndarray of float64, shape (k,)
        Wilder ATR in ticks, at least one tick.
    slope_t : ndarray of float64, shape (k,)
        t-statistic of the log-price slope.
    policy : RangesPolicy
        Lengths and tolerances.
    """

    windows: Windows
    atr: Float64
    slope_t: Float64
    policy: RangesPolicy
