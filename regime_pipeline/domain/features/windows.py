"""Which bars an hour may use: the newest bar due by its close and the window behind it.

See `hourly` for what is computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.holes import absent_between, run_starts
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import INCOMPLETE_WINDOW, OK, PARTIAL, WARMING_UP
from regime_pipeline.policy import FeaturesPolicy, HolesPolicy


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
        Code into `schema.STATUSES`.
    row : ndarray of int64, shape (n,)
        The bar's row among the candles; meaningful where the row has values.
    absent : ndarray of int32, shape (n,)
        Bars absent in the window; 0 where the row has no values.
    """

    as_of_bar: Int64
    is_new_bar: NDArray[np.bool_]
    status: NDArray[np.int8]
    row: Int64
    absent: NDArray[np.int32]


def newest_bars(market: Market, hours: Int64) -> Int64:
    """Return the open time of the newest bar due by each hour's close, epoch milliseconds, same shape."""
    step = market.step_ms
    return (hours + HOUR_MS) // step * step - step


def has_values(status: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows hold values: those of whole windows and of windows with tolerated holes."""
    return np.asarray((status == OK) | (status == PARTIAL))


def lookback_bars(window_bars: int, holes: HolesPolicy) -> int:
    """Return how many bars of the calendar up to its newest one a window of `window_bars` and one more may span."""
    return window_bars + 1 + holes.tolerated(window_bars)


def locate(candles: Candles, hours: Int64, window_bars: int, holes: HolesPolicy) -> HourEnds:
    """Find each hour's window: the last `window_bars` bars that are there and one before them.

    Notes
    -----
    The status is a function of the `lookback_bars` up to the newest one alone: OK where none of the window is absent;
    PARTIAL where no more are than `holes` tolerates; WARMING_UP where bars are missing at its old end only (the
    series, or its part after a hole, is too young); else INCOMPLETE_WINDOW: one of the newest bars is missing, or too
    many, or history began again inside it.
    """
    times, step = candles.open_time_ms, candles.market.step_ms
    as_of = newest_bars(candles.market, hours)
    row = np.searchsorted(times, as_of, side="right") - 1
    first = np.searchsorted(times, as_of - (lookback_bars(window_bars, holes) - 1) * step)
    is_present = (np.append(times, np.iinfo(np.int64).min)[row] == as_of) & (row >= first)
    at, oldest = np.where(is_present, row, 0), np.where(is_present, first, 0)
    if not len(candles):
        return HourEnds(
            as_of,
            as_of + step > hours,
            np.full(len(hours), INCOMPLETE_WINDOW, np.int8),
            row,
            np.zeros(len(hours), np.int32),
        )
    bar, starts = times // step, run_starts(candles, holes)
    newest, begin = (np.maximum(at - bars, oldest) for bars in (holes.newest_whole_bars - 1, window_bars))
    absent = absent_between(bar, begin, at)
    is_tolerated = (absent_between(bar, newest, at) == 0) & (absent <= holes.tolerated(window_bars))
    is_sound = is_present & is_tolerated & (starts[at] <= begin)
    status = np.where(is_sound, np.where(at - begin < window_bars, WARMING_UP, OK), INCOMPLETE_WINDOW)
    status[(status == OK) & (absent > 0)] = PARTIAL
    return HourEnds(
        as_of,
        as_of + step > hours,
        status.astype(np.int8),
        row,
        np.where(has_values(status), absent, 0).astype(np.int32),
    )


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
