"""Hindsight labels: what the bars after a moment turned out to be, by a plain rule that looks ahead on purpose.

No verdict may ever read them. They are a yardstick of convenience, not the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.services.backtest.classes import ABSTAIN, RANGE, TREND, VOLATILE, Classes


@dataclass(frozen=True, slots=True)
class HindsightRule:
    """The rule; VOLATILE is asked first, then TREND, and RANGE is the rest.

    Parameters
    ----------
    bars : int
        How many observations ahead it looks.
    volatile_from : float
        VOLATILE where the realized volatility of these bars is at least so many times its median over all labelled
        moments of the market.
    trend_from : float
        TREND where their efficiency ratio (net move over path, 0..1) is at least this.
    """

    bars: int = 24
    volatile_from: float = 1.5
    trend_from: float = 0.35


def hindsight_classes(close: Float64, rule: HindsightRule) -> Classes:
    """Label each moment by the bars after it.

    Parameters
    ----------
    close : ndarray of float64, shape (n,)
        Close at each moment of an unbroken calendar, NaN where there is none.
    rule : HindsightRule
        Lengths and thresholds.

    Returns
    -------
    ndarray of int8, shape (n,)
        Codes into `tracks.CLASSES`; ABSTAIN for the last `rule.bars` moments and wherever a close is absent among the
        moment's own and those of the bars after it.
    """
    labels = np.full(len(close), ABSTAIN, dtype=np.int8)
    if len(close) <= rule.bars:
        return labels
    ahead = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(close)), rule.bars)
    is_known = ~np.isnan(ahead).any(axis=1)
    if not is_known.any():
        return labels
    moves = ahead[is_known]
    path = np.abs(moves).sum(axis=1)
    efficiency = np.divide(np.abs(moves.sum(axis=1)), path, out=np.zeros(len(path)), where=path > 0)
    volatility = np.sqrt(np.mean(moves * moves, axis=1))
    is_volatile = (volatility >= rule.volatile_from * np.median(volatility)) & (volatility > 0)
    found = np.select([is_volatile, efficiency >= rule.trend_from], [VOLATILE, TREND], RANGE)
    labels[: len(is_known)][is_known] = found
    return labels
