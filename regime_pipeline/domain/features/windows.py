"""Which bars an hour may use: the newest bar due by its close and the unbroken window behind it.

See `hourly` for what is computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import STATUSES
from regime_pipeline.policy import FeaturesPolicy

OK, INCOMPLETE_WINDOW, WARMING_UP = (STATUSES.index(name) for name in ("OK", "INCOMPLETE_WINDOW", "WARMING_UP"))


@dataclass(frozen=True, eq=False)
class HourEnds:
    """Each hour's newest bar.

    Parameters
    ----------
    as_of_bar : ndarray of int64, shape (n,)
        Open time of the newest bar due by the hour's close, epoch milliseconds; by the calendar, present or not.
    is_new_bar : ndarray of bool, shape (n,)
        That bar was due to close within the hour.
    status : ndarray of int8, shape (n,)
        Code into `STATUSES`.
    row : ndarray of int64, shape (n,)
        The bar's row among the candles; meaningful where the status is OK.
    """

    as_of_bar: Int64
    is_new_bar: NDArray[np.bool_]
    status: NDArray[np.int8]
    row: Int64


def newest_bars(market: Market, hours: Int64) -> Int64:
    """Return the open time of the newest bar due by each hour's close, epoch milliseconds, same shape."""
    step = market.step_ms
    return (hours + HOUR_MS) // step * step - step


def locate(candles: Candles, hours: Int64, window_bars: int) -> HourEnds:
    """Find each hour's window of `window_bars` bars and one bar before them.

    Notes
    -----
    The status is a function of the window alone: OK when every bar is there; WARMING_UP when bars are missing at its
    old end only (the series, or its part after a hole, is too young); INCOMPLETE_WINDOW when the newest bar or one
    between two present bars is missing.
    """
    times, step = candles.open_time_ms, candles.market.step_ms
    as_of = newest_bars(candles.market, hours)
    first = np.searchsorted(times, as_of - window_bars * step)
    after = np.searchsorted(times, as_of, side="right")
    padded = np.append(times, np.iinfo(np.int64).min)
    is_present = padded[after - 1] == as_of
    is_unbroken = padded[first] == as_of - (after - first - 1) * step
    status = np.where(is_present & is_unbroken, WARMING_UP, INCOMPLETE_WINDOW)
    status[is_present & is_unbroken & (after - first == window_bars + 1)] = OK
    return HourEnds(as_of, as_of + step > hours, status.astype(np.int8), after - 1)


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows to compute: candles, the row of each window's newest bar, and logarithms all features share.

    Parameters
    ----------
    candles : Candles
        Bars of every window; unused bars do no harm.
    ends : ndarray of int64, shape (k,)
        Row of each window's newest bar, ascending.
    policy : FeaturesPolicy
        Lengths of the windows.
    log_close, bar_variance : ndarray of float64, shape (n,)
        Log of the close in ticks, and the Rogers-Satchell variance of each bar.
    """

    candles: Candles
    ends: Int64
    policy: FeaturesPolicy
    log_close: Float64
    bar_variance: Float64

    @classmethod
    def of(cls, candles: Candles, ends: Int64, policy: FeaturesPolicy) -> Windows:
        """Take the logarithms once for all features."""
        from regime_pipeline.domain.features.kernels import bar_logs

        logs = bar_logs(candles.open, candles.high, candles.low, candles.close)
        return cls(candles, ends, policy, logs[0], logs[1])
