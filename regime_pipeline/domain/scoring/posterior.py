"""Posterior weights of RANGE, TREND and VOLATILE, and how a range divides into RANGE_OK and RANGE_WEAK.

A multinomial logit of columns that are known at the close, one observation at a time: the columns already are filters
of 12 to 168 bars, and a forward filter over their posterior gained nothing (docs/probabilities.md). See
`services.posterior_model` for the shipped coefficients, `evaluation.fit_posterior` for the fit, `posterior_rules` for
the rules that read the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.features.path import PATH_FEATURES
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.price_breaks import series_breaks, trailing_starts
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.scoring.grid_capacity import carries_grid
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.policy import Policy

Flags = NDArray[np.bool_]
CLASSES: Final = ("RANGE", "TREND", "VOLATILE")
RANGE, TREND, VOLATILE = range(3)
SECTIONS: Final = ("features", "ranges", "scores")
"""Policy sections a model is made for."""
CLIP: Final = 3.5
"""Standardized columns are held within so many standard deviations."""
SCORE_COLUMNS: Final = ("trend_score", "mean_rev_score", "vol_change_score", "range_quality_score")
ORDERED: Final[dict[str, tuple[int, ...]]] = {
    "trend_score": (RANGE, VOLATILE, TREND),
    "mean_rev_score": (RANGE,),
    "vol_change_score": (RANGE, TREND, VOLATILE),
    "range_quality_score": (RANGE,),
}
"""Monotone columns. Three classes: coefficients ascend in this order, so P(last) rises and P(first) falls with the
column, all else equal. One class: its coefficient is the largest, so P(class) rises."""
_PLAIN: Final = (
    *("efficiency_ratio", "efficiency_ratio_short", "adx", "adx_change", "bars_since_extreme", "variance_ratio_z"),
    *("ou_t", "median_crossings", "autocorrelation", "vol_log_ratio", "atr_change_log", "vol_of_vol"),
)
_SIZES: Final = ("slope_t", "donchian_excess_atr")
_MEAN_WHERE_ABSENT: Final = ("hurst", "containment", "net_displacement", "range_width_atr")
"""NaN on flat windows or without a range; the model then sees its mean."""
EXCESSES: Final = {"log_volatility": "log_volatility_excess", "fading_log_volatility": "fading_volatility_excess"}
"""Columns without a scale of their own, less their mean over the trailing observations."""
COLUMNS: Final = (
    *SCORE_COLUMNS,
    *_PLAIN,
    *_SIZES,
    *_MEAN_WHERE_ABSENT,
    *(name for name in PATH_FEATURES if name not in EXCESSES),
    *EXCESSES.values(),
)
SPLIT_COLUMNS: Final = ("p_range", "range_quality_score", "edge_distance", "carries_grid", "is_range_ok")
"""What divides a range into RANGE_OK and RANGE_WEAK; each coefficient is at least zero."""
_LEAST_DISTANCE: Final = -0.5


@dataclass(frozen=True, eq=False)
class PosteriorModel:
    """Coefficients of the class weights and of the range's division.

    Parameters
    ----------
    made_for : str
        Hash of the policy sections and the null table that its columns were made with.
    means, scales : ndarray of float64, shape (c,)
        Of `COLUMNS`.
    coefficients : ndarray of float64, shape (3, c + 1)
        By class; of the standardized columns, the last one is the intercept.
    split : ndarray of float64, shape (6,)
        Of `SPLIT_COLUMNS`, the last one is the intercept.
    """

    made_for: str
    means: Float64
    scales: Float64
    coefficients: Float64
    split: Float64

    @cached_property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that change with any number of the model."""
        digest = hashlib.sha256(f"{self.made_for} {COLUMNS} {SPLIT_COLUMNS} {CLIP}".encode())
        for part in (self.means, self.scales, self.coefficients, self.split):
            digest.update(part.astype("<f8").tobytes())
        return digest.hexdigest()[:16]

    def check_made_for(self, policy: Policy, nulls: NullTable) -> None:
        """Refuse a policy or a null table that the model was not made for.

        Raises
        ------
        UsageError
            Features, ranges, scores or the null table differ from those it was fitted with.
        """
        if made_for(policy, nulls) != self.made_for:
            raise UsageError(
                "The posterior model was fitted with other [features], [ranges], [scores] or another null table.",
                "Fit it again: python -m regime_pipeline.evaluation.fit_posterior.",
            )


def made_for(policy: Policy, nulls: NullTable) -> str:
    """Return the hash that ties a model to the columns it reads."""
    return hashlib.sha256(f"{policy.hash_of(*SECTIONS)}{nulls.hash}".encode()).hexdigest()[:16]


def posterior_columns(features: Observations, at: Int64, scores: Rows, policy: Policy) -> Float64:
    """Return the model's columns at some places of the calendar.

    Parameters
    ----------
    features : Observations
        Feature rows with `path.PATH_FEATURES`, of the places and the `rank_observations` before each.
    at : ndarray of int64, shape (k,)
        Places wanted; each has a row.
    scores : Rows
        Score rows of the places, shape (k,) each.
    policy : Policy
        Sections `features` and `scores`.

    Returns
    -------
    ndarray of float64, shape (c, k)
        In the order of `COLUMNS`; NaN without scores, and for those of `_MEAN_WHERE_ABSENT` that have no value.
    """
    rows = {name: features.column(name)[at] for name in (*_PLAIN, *_SIZES, *_MEAN_WHERE_ABSENT, *PATH_FEATURES)}
    rows |= {name: np.abs(rows[name]) for name in _SIZES}
    rows |= {name: scores[name] for name in COLUMNS if name in scores}
    rows |= _excesses(features, at, policy)
    return np.array([rows[name] for name in COLUMNS])


def _excesses(features: Observations, at: Int64, policy: Policy) -> Rows:
    """The columns without a scale, less their trailing means, summed afresh for each place."""
    from regime_pipeline.domain.scoring.kernels import trailing_means

    breaks = series_breaks(features.column("close"), policy.scores.break_price_factor)
    first = trailing_starts(at, policy.scores.rank_observations, breaks)
    values = {name: features.column(name) for name in EXCESSES}
    return {new: values[old][at] - trailing_means(values[old], at, first) for old, new in EXCESSES.items()}


def class_probabilities(columns: Float64, model: PosteriorModel) -> Float64:
    """Return P(RANGE), P(TREND), P(VOLATILE) of each observation.

    Parameters
    ----------
    columns : ndarray of float64, shape (c, k)
        From `posterior_columns`.
    model : PosteriorModel
        Coefficients.

    Returns
    -------
    ndarray of float64, shape (3, k)
        Sums to one over the first axis; NaN where there are no scores.

    Notes
    -----
    Columns are added one after the other, not by a matrix product, whose order of additions (and so its last bit)
    depends on how many rows are computed together.
    """
    from regime_pipeline.domain.scoring.kernels import softmax

    utilities = np.repeat(model.coefficients[:, -1:], columns.shape[1], axis=1)
    for row, name in enumerate(COLUMNS):
        standardized = np.clip((columns[row] - model.means[row]) / model.scales[row], -CLIP, CLIP)
        value = np.nan_to_num(standardized) if name in _MEAN_WHERE_ABSENT else standardized
        utilities += model.coefficients[:, row, None] * value
    probabilities: Float64 = softmax(utilities, 1.0)
    return probabilities


def range_ok_share(
    p_range: Float64, is_range_ok: Flags, features: Rows, scores: Rows, policy: Policy, model: PosteriorModel
) -> Float64:
    """Return the share of the range's weight that is RANGE_OK's; float64, shape (k,), NaN without scores.

    It is the probability, given a range, that the verdict is RANGE_OK two observations on
    (`evaluation.fit_posterior`). It never falls when P(RANGE), the range's quality, the distance of the close to the
    nearer edge or the grid's capacity rise.

    Parameters
    ----------
    p_range : ndarray of float64, shape (k,)
        From `class_probabilities`.
    is_range_ok : ndarray of bool, shape (k,)
        The verdict is RANGE_OK now; it depends on the hysteresis, which the other columns do not know.
    features, scores : Rows
        Rows of the same observations.
    policy : Policy
        Section `grid_capacity`.
    model : PosteriorModel
        Coefficients.
    """
    from regime_pipeline.domain.scoring.kernels import softmax

    utility = np.full(len(p_range), model.split[-1])
    columns = split_columns(p_range, is_range_ok, features, scores, policy)
    for coefficient, values in zip(model.split[:-1], columns, strict=True):
        utility = utility + coefficient * values
    share: Float64 = softmax(np.array([utility, np.zeros(len(utility))]), 1.0)[0]
    return share


def split_columns(
    p_range: Float64, is_range_ok: Flags, features: Rows, scores: Rows, policy: Policy
) -> Sequence[Float64]:
    """Return the columns that divide a range, in the order of `SPLIT_COLUMNS`; float64, shape (k,) each."""
    can_carry = carries_grid(scores["grid_levels"], scores["grid_net_gain_bps"], policy.grid_capacity)
    quality = scores["range_quality_score"] / 100.0
    return p_range, quality, edge_distance(features), can_carry.astype(np.float64), is_range_ok.astype(np.float64)


def edge_distance(features: Rows) -> Float64:
    """Return the distance of the close to the nearer edge over the range's width; float64, shape (n,).

    Up to .5 in the middle, negative outside; -.5 at the least and without a range.
    """
    low, high, close = features["range_low"], features["range_high"], features["close"]
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.minimum(close - low, high - close) / (high - low)
    known = np.nan_to_num(distance, nan=_LEAST_DISTANCE, neginf=_LEAST_DISTANCE)
    return np.asarray(np.maximum(known, _LEAST_DISTANCE))


def verdict_weights(probabilities: Float64, ok_share: Float64) -> Float64:
    """Return the weights of RANGE_OK, RANGE_WEAK, TREND and TRANSITION; float64, shape (4, k), they sum to one."""
    p_range = probabilities[RANGE]
    return np.array([p_range * ok_share, p_range * (1.0 - ok_share), probabilities[TREND], probabilities[VOLATILE]])
