"""The posterior model, fitted: `python -m regime_pipeline.evaluation.fit_posterior` writes the one shipped.

It learns on members of the simulator family and on the three fixed difficulties; the same seeds give the same model.
See `posterior_report` for figures on other markets.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from regime_pipeline.domain.scoring.posterior import (
    CLASSES,
    CLIP,
    COLUMNS,
    ORDERED,
    RANGE,
    SPLIT_COLUMNS,
    PosteriorModel,
    class_probabilities,
    made_for,
    split_columns,
)
from regime_pipeline.domain.verdicts.rules import RANGE_OK
from regime_pipeline.evaluation.logit import Constraint, fit_logit
from regime_pipeline.evaluation.posterior_markets import (
    FIT_OWN_SEEDS,
    FIT_SEEDS,
    OWN_SEEDS,
    PosteriorMarket,
    members,
    own,
)
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.posterior_model import POSTERIOR_PATH, rounded, save_posterior

RIDGE: Final = 1e-4
LEAST_EFFECT: Final = 0.06
"""Every score that a class is monotone in moves its log odds at least so much per standard deviation."""
AHEAD: Final = 2
"""Observations until a range that is divided must still be RANGE_OK."""


def fit(markets: Sequence[PosteriorMarket], policy: Policy) -> PosteriorModel:
    """Return the model fitted on labelled markets; its numbers are `rounded` as the file keeps them."""
    columns = np.concatenate([m.columns for m in markets], axis=1)
    truth = np.concatenate([m.market.truth for m in markets])
    is_known = ~np.isnan(columns[0])
    columns, truth = columns[:, is_known], truth[is_known]
    means, scales = rounded(np.nanmean(columns, axis=1)), rounded(np.nanstd(columns, axis=1))
    standardized = np.nan_to_num(np.clip((columns - means[:, None]) / scales[:, None], -CLIP, CLIP))
    design = np.vstack([standardized, np.ones(len(truth))])
    coefficients = rounded(fit_logit(design, truth, [*map(constraint, COLUMNS), _FREE], RIDGE))
    tied = made_for(policy, default_null_table())
    model = PosteriorModel(tied, means, scales, coefficients, np.zeros(len(SPLIT_COLUMNS) + 1))
    return PosteriorModel(tied, means, scales, coefficients, rounded(_fit_split(markets, model, policy)))


_FREE: Final = Constraint(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), -np.inf)


def constraint(column: str) -> Constraint:
    """Return how a column's coefficients are bound (`posterior.ORDERED`)."""
    order = ORDERED.get(column)
    if order is None:
        return _FREE
    basis = np.zeros((len(CLASSES), 2))
    if len(order) == len(CLASSES):
        basis[order[1]], basis[order[2]] = (1.0, 0.0), (1.0, 1.0)
    else:
        second, third = (code for code in range(len(CLASSES)) if code != order[0])
        basis[second, 0] = basis[third, 1] = -1.0
    return Constraint(basis, LEAST_EFFECT)


def _fit_split(markets: Sequence[PosteriorMarket], model: PosteriorModel, policy: Policy) -> np.ndarray:
    """Coefficients of the range's division: on hours of true RANGE, whether the verdict is RANGE_OK `AHEAD` on."""
    columns, will_be = [], []
    for one in markets:
        probabilities = class_probabilities(one.columns, model)
        verdict = one.verdicts(probabilities, policy)
        rows = one.market.analysis
        split = np.array(split_columns(probabilities[RANGE], verdict == RANGE_OK, rows.features, rows.scores, policy))[
            :, :-AHEAD
        ]
        chosen = (one.market.truth[:-AHEAD] == RANGE) & ~np.isnan(split).any(axis=0)
        columns.append(split[:, chosen])
        will_be.append(verdict[AHEAD:][chosen] == RANGE_OK)
    joined = np.concatenate(columns, axis=1)
    design = np.vstack([joined, np.ones(joined.shape[1])])
    side = np.array([[0.0], [1.0]])
    bounds = [*(Constraint(side, 0.0) for _ in SPLIT_COLUMNS), Constraint(side, -np.inf)]
    fitted = fit_logit(design, np.concatenate(will_be).astype(np.int8), bounds, RIDGE)
    return np.asarray(fitted[1] - fitted[0])


def fitting_markets(policy: Policy, seeds: Sequence[int], own_seeds: Sequence[int]) -> list[PosteriorMarket]:
    """Return the markets to fit on: members of the family, and of each fixed difficulty."""
    fixed = [market for difficulty in OWN_SEEDS for market in own(difficulty, own_seeds, policy)]
    return [*members(seeds, policy), *fixed]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the posterior model of the default policy and write it."""
    parser = argparse.ArgumentParser(
        prog="python -m regime_pipeline.evaluation.fit_posterior", description=main.__doc__
    )
    parser.add_argument("--output", type=Path, default=POSTERIOR_PATH, help="file to write")
    parser.add_argument("--members", type=int, default=len(FIT_SEEDS), help="members of the family to fit on")
    parser.add_argument("--own", type=int, default=len(FIT_OWN_SEEDS), help="markets of each fixed difficulty")
    chosen = parser.parse_args(arguments)
    policy = default_policy()
    markets = fitting_markets(policy, FIT_SEEDS[: chosen.members], FIT_OWN_SEEDS[: chosen.own])
    made_from = {"first_seed": FIT_SEEDS[0], "members": chosen.members, "first_own_seed": FIT_OWN_SEEDS[0],
                 "own": chosen.own, "ridge": RIDGE, "least_effect": LEAST_EFFECT}  # fmt: skip
    save_posterior(chosen.output, fit(markets, policy), made_from)


if __name__ == "__main__":
    main()
