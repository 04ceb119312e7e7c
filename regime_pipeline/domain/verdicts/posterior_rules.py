"""The verdict after hysteresis: the seed's order proposes, the calibrated weights confirm and hold.

Where there are no weights (a null table without a posterior model) the scores alone decide, see `rules`. See
`scoring.posterior` for the weights.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.scoring.posterior import TREND as TREND_CLASS
from regime_pipeline.domain.scoring.posterior import VOLATILE
from regime_pipeline.domain.verdicts.rules import (
    INSUFFICIENT_DATA,
    RANGE_OK,
    RANGE_WEAK,
    TRANSITION,
    TREND,
    Evidence,
    MetRules,
    held_by_scores,
    instant_verdicts,
)
from regime_pipeline.policy import Policy

_NONE: Final = -1


def held_verdicts(evidence: Evidence, rules: MetRules, places: Int64, policy: Policy) -> NDArray[np.int8]:
    """Return the verdicts at some places of the calendar of observations; int8 codes into `VERDICTS`, shape (k,).

    Parameters
    ----------
    evidence : Evidence
        Scores and class probabilities over the calendar.
    rules : MetRules
        From `apply_rules`, of the same observations.
    places : ndarray of int64, shape (k,)
        Places to decide. Each is replayed over `hysteresis_observations` from a cold start: there is no hidden state.
    policy : Policy
        Section `verdict`.
    """
    held = np.full(len(places), INSUFFICIENT_DATA, dtype=np.int8)
    weighed = rules.is_weighed[places]
    if not weighed.all():
        held[~weighed] = held_by_scores(rules, instant_verdicts(rules), places[~weighed], policy)
    if weighed.any():
        held[weighed] = _held_by_weights(evidence, rules, places[weighed], policy)
    return held


def _held_by_weights(evidence: Evidence, rules: MetRules, places: Int64, policy: Policy) -> NDArray[np.int8]:
    """Verdicts where there are class probabilities.

    Notes
    -----
    1. RangeQuality below its gate bars RANGE_OK.
    2. VolChange above its bound proposes TRANSITION; 3. else Trend at its bound and confirmed proposes TREND.
    The class changes to the proposed one where its probability leads that of the held class by `class_margin`, else to
    the most probable one where that does. The first observation takes the most probable class.
    4. A held range is RANGE_OK from P(RANGE) >= `range_ok_probability_from` until it falls below
    `leave_range_ok_probability_below`, and only with the close inside the discovered range and 5. room for a grid;
    else RANGE_WEAK.
    """
    from regime_pipeline.domain.verdicts.posterior_kernels import hold_by_posterior

    held, is_ok = hold_by_posterior(
        np.array([evidence.p_range, evidence.p_trend, evidence.p_volatile]),
        np.select([rules.is_transition, rules.is_trend], [VOLATILE, TREND_CLASS], _NONE).astype(np.int8),
        rules.may_be_ok & rules.has_probability,
        rules.keeps_range_ok,
        places,
        policy.verdict.hysteresis_observations,
        policy.verdict.class_margin,
    )
    codes = np.array([RANGE_WEAK, TREND, TRANSITION], dtype=np.int8)
    return np.where(is_ok > 0, RANGE_OK, codes[held]).astype(np.int8)
