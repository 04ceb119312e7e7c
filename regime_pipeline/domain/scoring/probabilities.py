"""Calibrated columns of the score rows: class probabilities, the split of a range, and how long the range will hold.

See `scoring.posterior` and `hold` for the models, `verdicts.verdict` for the weights and the confidence made of them.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.hold.probability import hold_columns
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, OK_SHARES, VARIANCES
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.scoring.posterior import (
    RANGE,
    class_probabilities,
    posterior_columns,
    range_ok_share,
)
from regime_pipeline.policy import Policy


def probability_columns(
    calendar: Observations,
    places: Int64,
    features: Rows,
    scores: Rows,
    variances: Float64,
    policy: Policy,
    nulls: NullTable,
) -> Rows:
    """Return the calibrated columns at some places of the calendar.

    Parameters
    ----------
    calendar : Observations
        Feature rows of the places and of the `score_lookback_hours` before each.
    places : ndarray of int64, shape (k,)
        Each has a row.
    features, scores : Rows
        Rows of the places.
    variances : ndarray of float64, shape (3, k)
        From `observed_variances`.
    policy : Policy
        Sections `features`, `scores` and `grid_capacity`.
    nulls : NullTable
        Carries the fitted models; columns of a model that it lacks are NaN.

    Returns
    -------
    dict of str to ndarray of float64, shape (k,)
        The columns of `schema.CLASS_PROBABILITIES`, `OK_SHARES`, `VARIANCES` and `HOLD`.
    """
    close = calendar.column("hour_close")[places]
    return {
        **_class_columns(calendar, places, features, scores, policy, nulls),
        **dict(zip(VARIANCES, variances, strict=True)),
        **hold_columns(close, features["range_low"], features["range_high"], variances, nulls.hold, calendar.market),
    }


def _class_columns(
    calendar: Observations, places: Int64, features: Rows, scores: Rows, policy: Policy, nulls: NullTable
) -> Rows:
    """Class probabilities, and the share of a range that is RANGE_OK's while the verdict is RANGE_OK, and otherwise."""
    model = nulls.posterior
    if model is None:
        return {name: np.full(len(places), np.nan) for name in (*CLASS_PROBABILITIES, *OK_SHARES)}
    model.check_made_for(policy, nulls)
    probabilities = class_probabilities(posterior_columns(calendar, places, scores, policy), model)
    shares = [
        range_ok_share(probabilities[RANGE], np.full(len(places), held), features, scores, policy, model)
        for held in (True, False)
    ]
    return dict(zip((*CLASS_PROBABILITIES, *OK_SHARES), (*probabilities, *shares), strict=True))
