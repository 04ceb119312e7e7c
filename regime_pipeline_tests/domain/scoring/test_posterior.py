"""The posterior of the classes: sums, causality, and strict monotonicity in the evidence (property 73)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.scoring.posterior import (
    CLASSES,
    COLUMNS,
    ORDERED,
    class_probabilities,
    edge_distance,
    range_ok_share,
    verdict_weights,
)
from regime_pipeline.domain.simulation.regimes import DEFAULT_START_MS
from regime_pipeline.evaluation.posterior_markets import PosteriorMarket, with_columns
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.posterior_model import default_posterior, load_posterior
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, walk

POLICY, MODEL = default_policy(), default_posterior()
RANGE_OK, RANGE_WEAK, TREND_VERDICT, TRANSITION = 1, 2, 3, 4


def columns_of(candles: Candles) -> PosteriorMarket:
    return with_columns(candles, np.zeros(len(candles), dtype=np.int8), POLICY)


@pytest.fixture(scope="module")
def market() -> PosteriorMarket:
    return columns_of(walk(1_100, seed=4))


def typical(count: int, **values: Float64) -> Float64:
    """Columns at their means unless given."""
    columns = np.repeat(MODEL.means[:, None], count, axis=1)
    for name, given in values.items():
        columns[COLUMNS.index(name)] = given
    return columns


def test_probabilities_sum_to_one_and_are_nan_without_scores(market: PosteriorMarket) -> None:
    found = class_probabilities(market.columns, MODEL)
    is_known = ~np.isnan(market.market.analysis.scores["trend_score"])

    assert found.shape == (3, 1_100)
    assert found.dtype == np.float64
    assert is_known.sum() > 700
    np.testing.assert_allclose(found[:, is_known].sum(axis=0), 1.0)
    assert np.isnan(found[:, ~is_known]).all()


def test_a_posterior_is_the_same_from_the_least_history_and_in_any_batch(market: PosteriorMarket) -> None:
    whole = class_probabilities(market.columns, MODEL)
    reach = 168 + POLICY.scores.rank_observations
    for end in (800, 1_023, 1_100):
        part = columns_of(market.market.candles[end - reach - 1 : end])
        assert part.columns[:, -1].tobytes() == market.columns[:, end - 1].tobytes()
        assert class_probabilities(part.columns[:, -1:], MODEL).tobytes() == whole[:, end - 1].tobytes()


@pytest.mark.parametrize("name", list(ORDERED))
def test_property_73_the_posterior_is_strictly_monotone_in_the_evidence(name: str) -> None:
    found = class_probabilities(typical(21, **{name: np.linspace(0.0, 100.0, 21)}), MODEL)
    order = ORDERED[name]
    rising = order[-1]
    assert (np.diff(found[rising]) > 0).all()
    if len(order) == len(CLASSES):
        assert (np.diff(found[order[0]]) < 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_property_73_holds_whatever_the_other_columns_are(market: PosteriorMarket, seed: int) -> None:
    """Monotone by the order of the coefficients, so at any other evidence."""
    known = market.columns[:, ~np.isnan(market.columns[0])]
    base = known[:, seed * 17 % known.shape[1]]
    for name, order in ORDERED.items():
        columns = np.repeat(base[:, None], 11, axis=1)
        columns[COLUMNS.index(name)] = np.linspace(0.0, 100.0, 11)
        found = class_probabilities(columns, MODEL)
        assert (np.diff(found[order[-1]]) > -1e-15).all()
        assert len(order) == 1 or (np.diff(found[order[0]]) < 1e-15).all()


def one_row(**values: float) -> dict[str, Float64]:
    given = {"range_low": 90.0, "range_high": 110.0, "close": 100.0, "range_quality_score": 70.0, "grid_levels": 8.0,
             "grid_net_gain_bps": 30.0} | values  # fmt: skip
    return {name: np.array([value]) for name, value in given.items()}


def share(p_range: float = 0.8, is_ok: bool = True, **values: float) -> float:
    rows = one_row(**values)
    return float(range_ok_share(np.array([p_range]), np.array([is_ok]), rows, rows, POLICY, MODEL)[0])


def test_the_share_of_range_ok_rises_with_each_of_its_conditions() -> None:
    assert share(0.6) < share(0.8) < share(0.95)
    assert share(range_quality_score=40.0) < share() < share(range_quality_score=90.0)
    assert share(close=120.0) < share(close=91.0) < share(close=100.0)
    assert share(grid_levels=1.0) <= share()  # a grid fits the suggested band of every market that was fitted on
    assert share(is_ok=False) < 0.5 < share()
    assert np.isnan(share(float("nan")))


def test_the_four_weights_sum_to_one() -> None:
    weights = verdict_weights(np.array([[0.6], [0.3], [0.1]]), np.array([0.25]))
    np.testing.assert_allclose(weights.ravel(), [0.15, 0.45, 0.3, 0.1])


def test_the_edge_distance_is_negative_outside_and_without_a_range() -> None:
    rows = {"range_low": np.array([90.0, 90.0, 90.0, np.nan]), "range_high": np.array([110.0, 110.0, 110.0, np.nan]),
            "close": np.array([100.0, 112.0, 300.0, 100.0])}  # fmt: skip
    np.testing.assert_allclose(edge_distance(rows), [0.5, -0.1, -0.5, -0.5])


def test_another_policy_is_refused() -> None:
    MODEL.check_made_for(POLICY, default_null_table())
    with pytest.raises(UsageError, match="posterior model was fitted with other"):
        dataclasses.replace(MODEL, made_for="0").check_made_for(POLICY, default_null_table())


def test_a_file_changed_by_hand_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from regime_pipeline.services.posterior_model import POSTERIOR_PATH

    changed = tmp_path / "posterior.json"
    changed.write_text(POSTERIOR_PATH.read_text().replace('"p_range":', '"p_range":1'))
    with pytest.raises(UsageError, match="does not match its own hash"):
        load_posterior(changed)


def steady(drift: float, noise: float, bars: int = 1_600, seed: int = 1) -> Candles:
    """Hourly candles of a constant drift with normal noise."""
    random = np.random.default_rng(seed)
    ends = np.cumsum(drift + noise * random.standard_normal(bars))
    starts = np.concatenate([[0.0], ends[:-1]])
    reach = noise / 3.0 * random.random((2, bars))
    logs = (starts, np.maximum(starts, ends) + reach[0], np.minimum(starts, ends) - reach[1], ends)
    times = DEFAULT_START_MS + 3_600_000 * np.arange(bars, dtype=np.int64)
    return Candles.from_prices(HOURLY, 10_000, times, [1_000.0 * np.exp(x) for x in logs], np.full(bars, 5.0))


def judged(one: PosteriorMarket) -> np.ndarray:
    return one.verdicts(class_probabilities(one.columns, MODEL), POLICY)


@pytest.mark.parametrize(("drift", "seed"), [(0.001, 1), (0.001, 2), (-0.001, 3)])
def test_a_steady_drift_stays_a_trend_however_usual_it_has_become(drift: float, seed: int) -> None:
    verdicts = judged(columns_of(steady(drift, 0.003, seed=seed)))[700:]
    assert np.mean(verdicts == TREND_VERDICT) > 0.8
    assert np.mean(verdicts == RANGE_OK) < 0.02
