"""What prices did after each regime was known: returns from one close to the next, by simplified regime.

A regime is known at its bar's close, so it is judged by the following bar; nothing here looks back in hindsight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from regime_pipeline.domain.candles import Candles, Float64
from regime_pipeline.domain.classifier import CandleRegimes
from regime_pipeline.domain.regime_state import SIMPLIFIED, SIMPLIFIED_OF_STATE
from regime_pipeline.domain.window import Int64

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
