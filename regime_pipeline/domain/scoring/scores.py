"""The five scores of an hour, 0..100, from its features and the observations before it.

See `verdicts.rules` for the bounds that turn scores into a verdict.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from regime_pipeline.domain.columnar import Rows, code_signs, constant, rows_at, spread
from regime_pipeline.domain.features.hourly import features_hash
from regime_pipeline.domain.features.observations import Observations, lookback_hours
from regime_pipeline.domain.features.windows import has_values
from regime_pipeline.domain.hold.probability import band_for
from regime_pipeline.domain.hold.volatility import hold_lookback_hours, observed_variances, step_hours_of
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import RANKED, SCORES
from regime_pipeline.domain.scoring.grid_capacity import grid_capacity
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.scoring.probabilities import probability_columns
from regime_pipeline.domain.scoring.ranks import blended_ranks
from regime_pipeline.policy import Policy, ScoresPolicy
from regime_pipeline.policy.section import Weights


def quality_parts(rows: Rows, policy: ScoresPolicy) -> dict[str, Float64]:
    """Return each part of the score, 0..1; float64, shape (n,), NaN where there is no evidence (regimes.md section 5).

    Parameters
    ----------
    rows : Rows
        Feature rows.
    policy : ScoresPolicy
        Corners of the parts.
    """
    p = policy
    touches = np.minimum(rows["touches_low"], rows["touches_high"])
    width = rows["range_width_atr"]
    parts = {
        "containment": np.interp(rows["containment"], [p.containment_zero, p.containment_full], [0.0, 1.0]),
        "touches": np.interp(touches, [0, p.some_touches, p.full_touches], [0.0, p.some_touches_part, 1.0]),
        "traversals": np.interp(
            rows["traversals"], [0, p.some_traversals, p.full_traversals], [0.0, p.some_traversals_part, 1.0]
        ),
        "net_displacement": 1.0 - rows["net_displacement"],
        "failed_breakouts": rows["failed_breakouts"],
        "width": ((width >= p.width_min_atr) & (width <= p.width_max_atr)).astype(np.float64),
    }
    return {name: np.where(np.isnan(width), np.nan, part) for name, part in parts.items()}


def range_quality(rows: Rows, policy: ScoresPolicy) -> Float64:
    """Return RangeQualityScore, 0..100; float64, shape (n,), NaN where the status of the row is not OK.

    A part without evidence (no close left the range) leaves its weight to the others. Without consensus the score is
    capped at `no_consensus_cap`; without any range it is 0.
    """
    weights = policy.quality_weights.model_dump()
    total, share = np.zeros(len(rows["status"])), np.zeros(len(rows["status"]))
    for name, part in quality_parts(rows, policy).items():
        total += weights[name] * np.nan_to_num(part)
        share += weights[name] * ~np.isnan(part)
    score = 100.0 * total / np.where(share > 0, share, 1.0)
    capped = np.where(np.isnan(rows["range_low"]), np.minimum(score, policy.no_consensus_cap), score)
    return np.where(has_values(rows["status"]), capped, np.nan)


SECTIONS: Final = ("features", "ranges", "scores", "grid_capacity")
"""Policy sections that scores depend on."""
_REPEATED: Final = ("hour_start", "as_of_bar", "is_new_bar", "status")


def score_lookback_hours(market: Market, policy: Policy) -> int:
    """Return how many hours of feature rows before an hour its scores depend on."""
    return max(lookback_hours(market, policy.scores.rank_observations), hold_lookback_hours(market))


def scores_hash(policy: Policy, nulls: NullTable) -> str:
    """Return the hash of everything but data that a score row depends on."""
    models = "".join(model.hash for model in (nulls, nulls.posterior, nulls.hold) if model is not None)
    own = f"{features_hash(policy)}{policy.hash_of(*SECTIONS)}{models}"
    return hashlib.sha256(own.encode()).hexdigest()[:16]


def compute_scores(features: Rows, hours: Int64, market: Market, policy: Policy, nulls: NullTable) -> Rows:
    """Return ranks and scores of each hour.

    Parameters
    ----------
    features : Rows
        Feature rows of the hours and of the `score_lookback_hours` before each, ascending; earlier ones change
        nothing, absent ones count as absent observations.
    hours : ndarray of int64, shape (n,)
        Starts of the wanted hours, epoch milliseconds UTC, ascending.
    market : Market
        Whose rows these are.
    policy : Policy
        Sections `scores` and `grid_capacity`.
    nulls : NullTable
        Made for this policy.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `schema.SCORES`. Ranks and what is made of them are NaN where the status is not OK or fewer
        than `min_ranked_observations` earlier observations are present.

    Raises
    ------
    MissingDataError
        A wanted hour has no feature row.
    UsageError
        The null table was made for another policy.
    """
    nulls.check_policy(policy)
    own = rows_at(features, hours, "features")
    calendar = Observations.of(features, market)
    places, source = np.unique(calendar.at(hours), return_inverse=True)
    ranks, counts = blended_ranks(calendar, places, policy.scores, nulls)
    newest = {name: column[calendar.row[places]] for name, column in features.items()}
    variances = observed_variances(calendar, places)
    band = _grid_band(newest, variances, market, policy, nulls)
    scores = _scores(ranks, newest, band, policy, nulls)
    values: Rows = {
        "ranked_observations": counts,
        **{f"rank_{name}": ranks[name] for name in RANKED},
        **scores,
        **_trend_votes(newest, policy.scores, nulls),
        **probability_columns(calendar, places, newest, scores, variances, policy, nulls),
        "score_hash": constant(scores_hash(policy, nulls), len(places)),
    }
    computed = tuple(column for column in SCORES if column.name not in _REPEATED)
    repeated: Rows = {name: features[name][own] for name in _REPEATED}
    return repeated | spread(computed, values, source.astype(np.int64))


def raw_scores(ranks: dict[str, Float64], policy: ScoresPolicy) -> dict[str, Float64]:
    """Return the scores that are made of ranks, before they are put on the null's scale, 0..100."""
    return {
        "trend_score": _weighted(ranks, policy.trend_weights),
        "mean_rev_score": _weighted(ranks, policy.mean_rev_weights),
        "vol_change_score": ranks["log_volatility"],
    }


def _weighted(ranks: dict[str, Float64], weights: Weights) -> Float64:
    """Weighted mean of the named ranks."""
    parts = weights.model_dump().items()
    total: Float64 = np.sum([weight * ranks[name] for name, weight in parts], axis=0)
    return total


def _grid_band(
    rows: Rows, variances: Float64, market: Market, policy: Policy, nulls: NullTable
) -> tuple[Float64, Float64]:
    """Edges that a grid is judged on: the band that will probably hold, the discovered range where there is none."""
    low, high = rows["range_low"], rows["range_high"]
    if nulls.hold is None:
        return low, high
    wanted, ahead = policy.grid_capacity.band_probability, policy.grid_capacity.band_hours
    lower, upper = band_for(rows["hour_close"], wanted, ahead, variances, nulls.hold, step_hours_of(market))
    is_known = ~np.isnan(lower)
    return np.where(is_known, lower, low), np.where(is_known, upper, high)


def _scores(
    ranks: dict[str, Float64], rows: Rows, band: tuple[Float64, Float64], policy: Policy, nulls: NullTable
) -> Rows:
    """The five scores."""
    capacity = grid_capacity(*band, rows["tick"], policy.grid_capacity)
    is_ok = has_values(rows["status"])
    return {
        **{name: nulls.scale(name, raw) for name, raw in raw_scores(ranks, policy.scores).items()},
        "range_quality_score": range_quality(rows, policy.scores),
        "grid_capacity_score": np.where(is_ok, capacity.score, np.nan),
        "grid_levels": capacity.levels,
        "grid_net_gain_bps": capacity.net_gain_bps,
    }


def _trend_votes(rows: Rows, policy: ScoresPolicy, nulls: NullTable) -> Rows:
    """How many of ADX, efficiency ratio and slope see a trend of one sign on this bar, signed."""
    strong_er = nulls.quantile("efficiency_ratio", policy.er_null_quantile)
    votes = np.array(
        [
            code_signs(rows["dm_direction"]) * ((rows["adx"] >= policy.adx_trend_from) & rows["is_adx_rising"]),
            code_signs(rows["direction"]) * (rows["efficiency_ratio"] >= strong_er),
            np.sign(rows["slope_t"]) * (np.abs(rows["slope_t"]) >= policy.slope_t_from),
        ]
    )
    up, down = (votes > 0).sum(axis=0), (votes < 0).sum(axis=0)
    signed = np.where(up == down, 0, np.where(up > down, up, -down))
    return {"trend_votes": signed, "is_trend_confirmed": np.abs(signed) >= policy.min_trend_votes}
