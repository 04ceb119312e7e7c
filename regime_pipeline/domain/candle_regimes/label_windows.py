"""Why a candle has a 3D regime or none: whether its window is whole, and when the next label can come.

See `classifier` for the labels, `domain.market_data.holes` for the holes that a window may have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.features.windows import has_values
from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.holes import absent_between, has_history, run_starts
from regime_pipeline.domain.market_data.no_trade import flat_bars
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import INCOMPLETE_WINDOW, OK, PARTIAL, WARMING_UP
from regime_pipeline.policy import CandleRegimePolicy


@dataclass(frozen=True, eq=False)
class LabelWindows:
    """The windows of n candles, one per candle, in order.

    Parameters
    ----------
    status : ndarray of int8, shape (n,)
        Code into `schema.STATUSES`: OK; PARTIAL, the window lacks a few bars; WARMING_UP, the series, or its
        part behind a long hole, is too young; INCOMPLETE_WINDOW, too many of its bars or one of the newest are absent.
    absent : ndarray of int32, shape (n,)
        Bars that the window lacks; above 0 where PARTIAL alone.
    """

    status: NDArray[np.int8]
    absent: NDArray[np.int32]


def label_windows(candles: Candles, policy: CandleRegimePolicy) -> LabelWindows:
    """Return the state of each candle's window; uses bars <= t, and the same ones as `classifier.classify`."""
    bar, starts = candles.open_time_ms // candles.market.step_ms, run_starts(candles, policy.holes)
    row = np.arange(len(bar))
    is_known = has_history(bar, starts, policy.min_history_bars, policy.holes)
    absent = absent_between(bar, np.maximum(row - policy.min_history_bars + 1, 0), row)
    is_young = row - starts < policy.min_history_bars - 1
    status = np.where(is_known, np.where(absent > 0, PARTIAL, OK), np.where(is_young, WARMING_UP, INCOMPLETE_WINDOW))
    return LabelWindows(status.astype(np.int8), np.where(is_known, absent, 0).astype(np.int32))


def label_expected_ms(candles: Candles, policy: CandleRegimePolicy) -> int | None:
    """Return the close of the candle that will have a label again, if no bar is missing from now on.

    Parameters
    ----------
    candles : Candles
        The newest ones of a market: all that a label can depend on.
    policy : CandleRegimePolicy
        History that a label needs, and holes that it may have.

    Returns
    -------
    int or None
        Epoch milliseconds UTC; None without a candle, and where the newest one has a label.
    """
    if not len(candles):
        return None
    step = candles.market.step_ms
    ahead = policy.min_history_bars + policy.holes.tolerated(policy.min_history_bars) + policy.holes.longest_bars
    times: Int64 = int(candles.open_time_ms[-1]) + step * np.arange(1, ahead + 1, dtype=np.int64)
    later = flat_bars(candles, times, np.repeat(candles.close[-1:], ahead))
    status = label_windows(concatenate([candles, later]), policy).status[len(candles) - 1 :]
    first = int(np.argmax(has_values(status)))
    return None if first == 0 else int(candles.close_time_ms[-1]) + first * step
