"""Verdicts that listen to the posterior: the seed's order proposes, the calibrated weights confirm and hold.

See `posterior` for the weights, `rules` for the seed's bounds and the verdict codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.scoring.posterior import RANGE, VOLATILE
from regime_pipeline.domain.scoring.posterior import TREND as TREND_CLASS
from regime_pipeline.domain.verdicts.rules import (
    INSUFFICIENT_DATA,
    RANGE_OK,
    RANGE_WEAK,
    TRANSITION,
    TREND,
    Flags,
    MetRules,
)

_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class PosteriorBounds:
    """Bounds of the rule; candidates for the policy's section `verdict`.

    Parameters
    ----------
    margin : float
        Lead in probability that a change of class needs.
    range_ok_from, leave_range_ok_below : float
        P(RANGE) at which RANGE_OK begins, and below which it ends.
    observations : int
        Length of the replay.
    """

    margin: float = 0.34
    range_ok_from: float = 0.8
    leave_range_ok_below: float = 0.5
    observations: int = 168


def posterior_verdicts(
    probabilities: Float64, rules: MetRules, edge_distance: Float64, places: Int64, bounds: PosteriorBounds
) -> NDArray[np.int8]:
    """Return the verdicts at some places of the calendar of observations.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (3, d)
        P(RANGE), P(TREND), P(VOLATILE) of each observation, NaN without scores.
    rules : MetRules
        The seed's bounds on the same observations; read are `is_weak`, `is_transition`, `is_trend`, `has_capacity`.
    edge_distance : ndarray of float64, shape (d,)
        From `posterior.edge_distance`; at least zero inside the discovered range.
    places : ndarray of int64, shape (k,)
        Places to decide, each replayed from a cold start `bounds.observations` long.
    bounds : PosteriorBounds
        Margin and thresholds.

    Returns
    -------
    ndarray of int8, shape (k,)
        Codes into `VERDICTS`.

    Notes
    -----
    1. RangeQuality below its gate bars RANGE_OK.
    2. VolChange above its bound proposes TRANSITION; 3. else Trend at its bound and confirmed proposes TREND.
    The class changes to the proposed one where its probability leads that of the held class by the margin, else to
    the most probable one where that does. The first observation takes the most probable class.
    4. A held range is RANGE_OK from P(RANGE) >= `range_ok_from` until P(RANGE) < `leave_range_ok_below`, and only with
    the close inside the discovered range and 5. a grid that the range can carry; else RANGE_WEAK.
    """
    from regime_pipeline.domain.verdicts.posterior_kernels import hold_by_posterior

    may_trade = can_be_ok(rules, edge_distance)
    held, is_ok = hold_by_posterior(
        probabilities,
        np.select([rules.is_transition, rules.is_trend], [VOLATILE, TREND_CLASS], _NONE).astype(np.int8),
        may_trade & (probabilities[RANGE] >= bounds.range_ok_from),
        may_trade & (probabilities[RANGE] >= bounds.leave_range_ok_below),
        places,
        bounds.observations,
        bounds.margin,
    )
    codes = np.array([RANGE_WEAK, TREND, TRANSITION, INSUFFICIENT_DATA], dtype=np.int8)
    return np.where(is_ok > 0, RANGE_OK, codes[held]).astype(np.int8)


def can_be_ok(rules: MetRules, edge_distance: Float64) -> Flags:
    """Return whether everything but P(RANGE) permits RANGE_OK: gate, close inside the range, capacity; bool, (d,)."""
    return np.asarray(~rules.is_weak & (edge_distance >= 0.0) & rules.has_capacity)
