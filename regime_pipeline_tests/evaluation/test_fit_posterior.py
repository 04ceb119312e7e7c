"""The fit of the posterior: it finds known coefficients, and reports figures of data it was not fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.scoring.posterior import COLUMNS, ORDERED
from regime_pipeline.evaluation.fit_posterior import LEAST_EFFECT, constraint, fit, fitting_markets, main
from regime_pipeline.evaluation.logit import Constraint, fit_logit
from regime_pipeline.evaluation.posterior_markets import (
    FIT_OWN_SEEDS,
    FIT_SEEDS,
    FOREIGN_SEEDS,
    NULL_SEEDS,
    OWN_SEEDS,
    TUNE_NULL_SEEDS,
    TUNE_SEEDS,
    UNSEEN_SEEDS,
    foreign,
)
from regime_pipeline.evaluation.posterior_report import calibration, judge, posterior_figures, shares_right
from regime_pipeline.policy import default_policy
from regime_pipeline.services.posterior_model import default_posterior, load_posterior

POLICY = default_policy()
FREE = Constraint(np.array([[1.0], [-1.0]]), -np.inf)


def test_the_logit_finds_the_coefficients_that_made_the_data() -> None:
    random = np.random.default_rng(1)
    columns = np.vstack([random.standard_normal((2, 40_000)), np.ones(40_000)])
    utility = np.array([1.2, -0.7, 0.4]) @ columns
    truth = (random.random(40_000) < 1.0 / (1.0 + np.exp(-utility))).astype(np.int8)

    found = fit_logit(columns, truth, [FREE, FREE, FREE], 1e-9)
    np.testing.assert_allclose(found[1] - found[0], [1.2, -0.7, 0.4], atol=0.05)
    np.testing.assert_allclose(found.sum(axis=0), 0.0, atol=1e-12)

    bound = Constraint(np.array([[0.0], [1.0]]), 0.0)
    held = fit_logit(columns, truth, [bound, bound, FREE], 1e-9)
    assert held[1, 1] - held[0, 1] == 0.0  # its best value is negative
    assert held[1, 0] - held[0, 0] == pytest.approx(1.1, abs=0.2)


@pytest.mark.parametrize("name", list(ORDERED))
def test_shipped_coefficients_keep_their_order(name: str) -> None:
    coefficients = default_posterior().coefficients[:, COLUMNS.index(name)]
    order = ORDERED[name]
    if len(order) == 3:
        assert (np.diff(coefficients[list(order)]) >= LEAST_EFFECT - 1e-6).all()
    else:
        assert (np.delete(coefficients, order[0]) <= coefficients[order[0]] - LEAST_EFFECT + 1e-6).all()
    assert constraint(name).floor == LEAST_EFFECT


def test_the_same_seeds_give_the_same_model(tmp_path) -> None:  # type: ignore[no-untyped-def]
    main(["--output", str(tmp_path / "a.json"), "--members", "1", "--own", "1"])
    again = fit(fitting_markets(POLICY, FIT_SEEDS[:1], FIT_OWN_SEEDS[:1]), POLICY)

    assert load_posterior(tmp_path / "a.json").hash == again.hash
    assert again.hash != default_posterior().hash
    assert again.made_for == default_posterior().made_for


def test_nothing_is_reported_on_what_was_fitted_or_tuned() -> None:
    seen = {*FIT_SEEDS, *TUNE_SEEDS, *FIT_OWN_SEEDS}
    assert seen.isdisjoint(UNSEEN_SEEDS)
    assert all(seen.isdisjoint(seeds) for seeds in OWN_SEEDS.values())
    assert seen.isdisjoint(FOREIGN_SEEDS)
    assert set(TUNE_NULL_SEEDS).isdisjoint(NULL_SEEDS)


def test_calibration_is_zero_where_confidence_is_right_and_the_gap_where_it_is_not() -> None:
    confidence = np.repeat([0.25, 0.75], 4_000)
    is_right = np.concatenate([np.arange(4_000) % 4 == 0, np.arange(4_000) % 4 != 0])
    assert calibration(confidence, is_right) < 0.01
    assert calibration(confidence + 0.1, is_right) == pytest.approx(0.1, abs=0.01)
    assert shares_right(confidence, is_right)[0] == pytest.approx(0.25, abs=0.01)


def test_the_goals_hold_on_the_foreign_generator() -> None:
    markets = foreign(FOREIGN_SEEDS, POLICY)
    found = posterior_figures([judge(one, default_posterior(), POLICY) for one in markets])

    assert found["ECE of confidence"] <= 0.10
    assert found["override, classes"] <= 0.12
    assert found["RANGE_OK precision"] > 0.75
