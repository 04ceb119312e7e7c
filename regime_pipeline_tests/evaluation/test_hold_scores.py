"""Tests of `evaluation.hold_scores`: skill, calibration and baselines on bands whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.evaluation.hold_forecasts import Forecasts
from regime_pipeline.evaluation.hold_scores import (
    PLAIN_BARRIER,
    climatology,
    fit_volatility_alone,
    fit_width_alone,
    reliability,
    reliability_error,
    score,
    skill_interval,
)
from regime_pipeline_tests.domain.hold.factories import WORKED


def bands(count: int = 20_000, seed: int = 3) -> Forecasts:
    """Bands of random width at random volatility, held as often as the worked model says."""
    rng = np.random.default_rng(seed)
    ahead = rng.choice([12, 72], count)
    variance = 4e-5 * np.exp(rng.normal(0, 0.7, (count, 1)) + rng.normal(0, 0.2, (count, 3)))
    sides = np.exp(rng.uniform(np.log(0.4), np.log(5), (2, count))) * np.sqrt(4e-5 * ahead)
    lower, upper = 100 * np.exp(-sides[0]), 100 * np.exp(sides[1])
    hour = rng.integers(0, 100 * 7 * 24, count) * 3_600_000
    made = Forecasts(
        *(hour, np.full(count, 100.0), lower, upper, ahead, variance, np.zeros(count, dtype=bool)),
        np.ones(count, dtype=np.int64),
    )
    held = rng.random(count) < made.probability(WORKED)
    return Forecasts(hour, made.close, lower, upper, ahead, variance, held, made.step_hours)


def test_the_model_that_made_the_outcomes_beats_every_baseline_and_is_calibrated() -> None:
    fitted, judged = bands(seed=3), bands(seed=4)
    baselines = {
        "width": fit_width_alone(fitted)(judged),
        "volatility": fit_volatility_alone(fitted)(judged),
        "plain": judged.probability(PLAIN_BARRIER),
    }
    found, others = score(judged, judged.probability(WORKED)), {n: score(judged, p) for n, p in baselines.items()}

    assert found.calibration_error < 0.015
    assert found.skill > max(one.skill for one in others.values()) + 0.01
    assert found.log_loss < min(one.log_loss for one in others.values())
    assert others["width"].skill > 0.1
    assert others["volatility"].skill > 0.02
    assert others["plain"].calibration_error > 0.03
    low, high = skill_interval(judged, judged.probability(WORKED))
    assert low < found.skill < high
    assert high - low < 0.05


def test_climatology_has_no_skill_and_hindsight_all() -> None:
    judged = bands(2_000)

    assert score(judged, climatology(judged)).skill == 0
    assert score(judged, climatology(judged)).calibration_error == pytest.approx(0, abs=1e-12)
    assert score(judged, judged.held.astype(float)).skill == 1
    assert set(score(judged, climatology(judged)).by_horizon) == {12, 72}


def test_a_bias_is_the_calibration_error() -> None:
    said = np.linspace(0.1, 0.8, 30_000)
    held = np.random.default_rng(1).random(30_000) < said + 0.1

    assert reliability_error(held, said) == pytest.approx(0.1, abs=0.01)
    rows = reliability(held, said)
    assert [row[0] for row in rows] == [3_000] * 10
    assert all(came > said for _, said, came in rows)


def test_the_plain_barrier_is_the_formula_with_the_weeks_volatility() -> None:
    judged = bands(5)

    from regime_pipeline.domain.hold.kernels import stay_probability

    expected = []
    for at in range(5):
        variance = judged.volatility[at, 1]
        shift = 0.5826 * np.sqrt(variance)
        below, above = np.log(100 / judged.lower[at]), np.log(judged.upper[at] / 100)
        expected.append(stay_probability(below + shift, above + shift, variance * judged.ahead[at]))
    np.testing.assert_allclose(judged.probability(PLAIN_BARRIER), expected, atol=1e-12)
