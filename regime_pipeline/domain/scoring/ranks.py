"""Blended ranks of features: half among the market's own last observations, half on a market without any regime.

See `scores` for what they add up to.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.price_breaks import series_breaks, trailing_starts
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import RANKED
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.policy import ScoresPolicy

_FALLING: Final = frozenset({"variance_ratio_z", "ou_t", "autocorrelation"})
"""Features of mean reversion: the lower, the stronger."""
_TWO_SIDED: Final = frozenset({"slope_t", "donchian_excess_atr"})
"""Signed features of trend: the farther from zero, the stronger."""
_RELATIVE: Final = frozenset({"log_volatility"})
"""Features without a scale of their own: the null knows them less their trailing mean."""


def as_evidence(name: str, values: Float64) -> Float64:
    """Return a ranked feature as its score reads it: the higher, the more it speaks for the score."""
    if name in _FALLING:
        return -values
    return np.abs(values) if name in _TWO_SIDED else values


def null_evidence(name: str, values: Float64, at: Int64, first: Int64) -> Float64:
    """Return a ranked feature as the null table knows it, from its evidence over the calendar.

    Parameters
    ----------
    name : str
        One of `schema.RANKED`.
    values : ndarray of float64, shape (d,)
        As `as_evidence` gives them, NaN where absent.
    at : ndarray of int64, shape (k,)
        Places wanted.
    first : ndarray of int64, shape (k,)
        Where the mean of a relative feature begins for each of them; it ends strictly earlier.

    Returns
    -------
    ndarray of float64, shape (k,)
    """
    from regime_pipeline.domain.scoring.kernels import trailing_means

    if name not in _RELATIVE:
        return values[at]
    means: Float64 = trailing_means(values, at, first)
    return values[at] - means


def blended_ranks(
    features: Observations, at: Int64, policy: ScoresPolicy, nulls: NullTable
) -> tuple[dict[str, Float64], Int64]:
    """Rank every feature of `schema.RANKED` at the given places of the calendar.

    Parameters
    ----------
    features : Observations
        Feature rows; those whose status is not OK hold NaN and count as absent.
    at : ndarray of int64, shape (k,)
        Places to rank; strictly earlier places alone are compared with, and none before a break of the series.
    policy : ScoresPolicy
        `rank_observations`, `min_ranked_observations`, `own_rank_share` and `break_price_factor`.
    nulls : NullTable
        Distribution of each feature without a regime.

    Returns
    -------
    dict of str to ndarray of float64, shape (k,)
        Blended rank of each feature, 0..100, NaN where it is absent or too few earlier observations are present.
    ndarray of int64, shape (k,)
        Earlier observations present within the window.
    """
    from regime_pipeline.domain.scoring.kernels import trailing_ranks

    values = np.array([as_evidence(name, features.column(name)) for name in RANKED])
    breaks = series_breaks(features.column("close"), policy.break_price_factor)
    first = trailing_starts(at, policy.rank_observations, breaks)
    own, counts = trailing_ranks(values, at, first)
    own[:, counts < policy.min_ranked_observations] = np.nan
    share = policy.own_rank_share
    ranks = {
        name: 100.0 * (share * own[row] + (1.0 - share) * nulls.rank(name, null_evidence(name, values[row], at, first)))
        for row, name in enumerate(RANKED)
    }
    return ranks, counts
