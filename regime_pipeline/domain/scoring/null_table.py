"""What features and scores look like on a market without any regime: the yardstick of every rank.

See `evaluation.calibrate` for how it is made, `services.null_table` for the shipped one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.policy import Policy

if TYPE_CHECKING:  # the models read tables of their own and import this one
    from regime_pipeline.domain.hold.model import HoldModel
    from regime_pipeline.domain.scoring.posterior import PosteriorModel

SCORE_KNOTS: Final = (0.0, 30.0, 50.0, 70.0, 100.0)
"""Score at the lowest possible value, the null's 10 %, 50 % and 90 % quantile and the highest possible value."""
KNOT_QUANTILES: Final = (0.1, 0.5, 0.9)
SECTIONS: Final = ("features", "scores")
"""Policy sections a table is made for."""


@dataclass(frozen=True, eq=False)
class NullTable:
    """Distribution of features and raw scores on driftless walks.

    Parameters
    ----------
    made_for : str
        Hash of the policy sections that shaped it.
    quantiles : mapping of str to ndarray of float64, shape (q,)
        Evenly spaced quantiles of each ranked feature as its score reads it (see `ranks`), ascending.
    knots : mapping of str to ndarray of float64, shape (5,)
        Raw value of each mapped score at `SCORE_KNOTS`, strictly ascending from 0 to 100.
    posterior : PosteriorModel, optional
        Fitted for this table; without one there are no weights and confidence is 0.
    hold : HoldModel, optional
        Without one there are no hold probabilities.
    """

    made_for: str
    quantiles: Mapping[str, Float64]
    knots: Mapping[str, Float64]
    posterior: PosteriorModel | None = None
    hold: HoldModel | None = None

    @cached_property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that change with any value of the table."""
        digest = hashlib.sha256(self.made_for.encode())
        for part in (self.quantiles, self.knots):
            for name in sorted(part):
                digest.update(name.encode() + part[name].astype("<f8").tobytes())
        return digest.hexdigest()[:16]

    def check_policy(self, policy: Policy) -> None:
        """Refuse a policy the table was not made for.

        Raises
        ------
        UsageError
            Features or scores have other thresholds than those the table was made with.
        """
        if policy.hash_of(*SECTIONS) != self.made_for:
            raise UsageError(
                "The null table was made for other thresholds of [features] or [scores].",
                "Make a new one: python -m regime_pipeline.evaluation.calibrate.",
            )

    def rank(self, name: str, values: Float64) -> Float64:
        """Return the mid-rank of values among the null's quantiles, 0..1, NaN for NaN; float64, same shape."""
        quantiles = self.quantiles[name]
        below, upto = (np.searchsorted(quantiles, values, side=side) for side in ("left", "right"))
        return np.where(np.isnan(values), np.nan, (below + upto) / (2.0 * len(quantiles)))

    def quantile(self, name: str, share: float) -> float:
        """Return the value that a share of the null lies below."""
        return float(np.quantile(self.quantiles[name], share))

    def scale(self, name: str, raw: Float64) -> Float64:
        """Return raw scores on the scale where 10 % of the null lie above 70 and 10 % below 30, NaN for NaN."""
        return np.asarray(np.interp(raw, self.knots[name], SCORE_KNOTS), dtype=np.float64)
