"""Periods: maximal runs of one simplified regime without a gap; transitions follow from successive periods.

How they are kept in the database is the warehouse's business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.classifier import CandleRegimes
from regime_pipeline.domain.market import Market
from regime_pipeline.domain.regime_state import SIMPLIFIED_OF_STATE
from regime_pipeline.domain.window import Int64


@dataclass(frozen=True, eq=False)
class Periods:
    """Periods of one market, k of them, ascending.

    Parameters
    ----------
    start_ms, end_ms : ndarray of int64, shape (k,)
        Open of the first and close of the last candle, epoch milliseconds UTC.
    candles : ndarray of int64, shape (k,)
        Number of candles.
    regime : ndarray of int8, shape (k,)
        Code into `regime_state.SIMPLIFIED`.
    mean_confidence : ndarray of float64, shape (k,)
        0..1.
    """

    start_ms: Int64
    end_ms: Int64
    candles: Int64
    regime: NDArray[np.int8]
    mean_confidence: Float64


def periods(regimes: CandleRegimes, market: Market) -> Periods:
    """Return the maximal runs of one simplified regime; a gap in the candles ends a run."""
    regime = SIMPLIFIED_OF_STATE[regimes.state]
    if not len(regimes):
        none = np.empty(0, np.int64)
        return Periods(none, none, none, regime, np.empty(0))
    is_first = np.ones(len(regimes), dtype=np.bool_)
    is_first[1:] = (regime[1:] != regime[:-1]) | (np.diff(regimes.open_time_ms) != market.step_ms)
    first = np.flatnonzero(is_first)
    count = np.diff(np.append(first, len(regimes)))
    return Periods(
        regimes.open_time_ms[first],
        regimes.open_time_ms[first + count - 1] + market.step_ms,
        count,
        regime[first],
        np.add.reduceat(regimes.confidence, first) / count,
    )


def transitions(found: Periods) -> Int64:
    """Count how often one simplified regime followed another without a gap; shape (6, 6), from row to column."""
    matrix = np.zeros((6, 6), dtype=np.int64)
    touching = found.end_ms[:-1] == found.start_ms[1:]
    np.add.at(matrix, (found.regime[:-1][touching], found.regime[1:][touching]), 1)
    return matrix
