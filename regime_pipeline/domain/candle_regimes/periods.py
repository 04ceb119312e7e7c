"""Periods (maximal runs of one simplified regime without a gap), transitions between them, and returns by regime.

See `storage.bulk.regime_periods` for the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED, SIMPLIFIED_OF_STATE
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64

_BPS: Final = 10_000.0
_PCT: Final = 100.0
_Measure = Callable[[Float64], float]


class Performance(NamedTuple):
    """Returns of the bar after, one entry per regime; `performance` gives them in the order of `SIMPLIFIED`.

    `bars` are int64; the others float64, NaN where there are too few bars.
    """

    bars: Int64
    mean_return_bps: Float64
    volatility_bps: Float64
    share_up: Float64
    total_return_pct: Float64


def performance(regimes: CandleRegimes, candles: Candles) -> Performance:
    """Return how the bar after each regime did.

    Parameters
    ----------
    regimes : CandleRegimes
        n regimes, in order.
    candles : Candles
        The same n candles; the last of them has no bar after it and counts nowhere.

    Returns
    -------
    Performance
        Log returns from close to close in basis points: mean and standard deviation (n - 1); the share of rises,
        0..1; and the compounded return of holding through every such bar, per cent. A bar with a gap behind it is
        left out.
    """
    step = candles.market.step_ms
    is_followed = np.diff(candles.open_time_ms) == step
    returns = np.diff(np.log(candles.prices("close")))[is_followed]
    regime = SIMPLIFIED_OF_STATE[regimes.state][:-1][is_followed]
    return summarize_returns([returns[regime == code] for code in range(len(SIMPLIFIED))])


def summarize_returns(groups: list[Float64]) -> Performance:
    """Return the figures of groups of log returns, one entry per group."""
    return Performance(
        np.array([len(values) for values in groups], dtype=np.int64),
        _each(groups, 1, lambda values: float(values.mean()) * _BPS),
        _each(groups, 2, lambda values: float(values.std(ddof=1)) * _BPS),
        _each(groups, 1, lambda values: float((values > 0).mean())),
        _each(groups, 1, lambda values: float(np.expm1(values.sum())) * _PCT),
    )


def _each(groups: list[Float64], least: int, measure: _Measure) -> Float64:
    """A measure of every group that has at least so many values, NaN for the others."""
    return np.array([measure(values) if len(values) >= least else np.nan for values in groups])


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
