"""Scores against the naive reference, with their layout, bounds and look-back."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regime_pipeline.domain.columnar import DTYPES
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, FEATURES, HOLD, OK_SHARES, RANKED, SCORES, VARIANCES
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.scoring.scores import compute_scores, raw_scores, score_lookback_hours, scores_hash
from regime_pipeline_tests.domain.verdicts.factories import (
    HOURLY,
    NULLS,
    POLICY,
    WINDOW,
    blank_rows,
    hours_of,
    run,
    walk,
)
from regime_pipeline_tests.reference.naive_verdicts import naive_scores

STRONG_ER = NULLS.quantile("efficiency_ratio", 0.9)


@pytest.fixture(scope="module")
def engine() -> Any:
    candles = walk(1_100, 21)
    return SimpleNamespace(hours=hours_of(candles), **run(candles, hours_of(candles))._asdict())


def test_every_column_of_the_layout_is_there_with_its_type(engine: Any) -> None:
    assert {name: column.dtype for name, column in engine.scores.items()} == {
        column.name: np.dtype(DTYPES[column.kind]) for column in SCORES
    }
    assert {len(column) for column in engine.scores.values()} == {1_100}


def test_every_value_is_that_of_the_naive_implementation(engine: Any) -> None:
    frame = pd.DataFrame(engine.features)
    for row in np.random.default_rng(2).choice(np.arange(WINDOW + 200, 1_100), 20, replace=False):
        expected = naive_scores(frame.iloc[WINDOW : row + 1], frame.hour_close.iloc[: row + 1], POLICY, NULLS)
        for name, value in expected.items():
            assert float(engine.scores[name][row]) == pytest.approx(float(value), rel=1e-9, nan_ok=True), name


def test_scores_need_150_earlier_observations_but_edges_do_not(engine: Any) -> None:
    scores = engine.scores
    first = WINDOW + POLICY.scores.min_ranked_observations

    for name in (*[f"rank_{name}" for name in RANKED], "trend_score", "mean_rev_score", "vol_change_score"):
        assert np.isnan(scores[name][:first]).all(), name
        assert np.isfinite(scores[name][first:]).all(), name
    assert np.isnan(scores["range_quality_score"][:WINDOW]).all()
    assert np.isfinite(scores["range_quality_score"][WINDOW:]).all()
    assert np.isnan(scores["grid_capacity_score"][:WINDOW]).all()
    assert scores["ranked_observations"][first] == 150


def test_scores_stay_between_0_and_100(engine: Any) -> None:
    for name in SCORES:
        if name.name.startswith("rank_") or name.name.endswith("_score"):
            values = engine.scores[name.name]
            assert 0 <= np.nanmin(values) <= np.nanmax(values) <= 100, name.name


def test_raw_scores_are_weighted_means_and_the_rank_of_volatility() -> None:
    ranks = {name: np.array([10.0 * place]) for place, name in enumerate(RANKED)}

    raw = {name: float(value[0]) for name, value in raw_scores(ranks, POLICY.scores).items()}

    assert raw["trend_score"] == pytest.approx(0 * 0.30 + 10 * 0.35 + 20 * 0.05 + 30 * 0.30)
    assert raw["mean_rev_score"] == pytest.approx(40 * 0.35 + 50 * 0.30 + 60 * 0.20 + 70 * 0.15)
    assert raw["vol_change_score"] == 80.0


def votes(**values: Any) -> tuple[int, bool]:
    features = blank_rows(FEATURES, 1, **values)
    scores = compute_scores(features, features["hour_start"], HOURLY, POLICY, NULLS)
    return int(scores["trend_votes"][0]), bool(scores["is_trend_confirmed"][0])


UP = {"adx": 25.0, "is_adx_rising": True, "dm_direction": 1, "direction": 1, "efficiency_ratio": 0.9, "slope_t": 2.5}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (3, True)),
        ({"adx": 24.999}, (2, True)),
        ({"is_adx_rising": False}, (2, True)),
        ({"efficiency_ratio": STRONG_ER}, (3, True)),
        ({"efficiency_ratio": STRONG_ER - 1e-9}, (2, True)),
        ({"slope_t": 2.499}, (2, True)),
        ({"slope_t": 2.499, "adx": 24.0}, (1, False)),
        ({"slope_t": -2.5}, (2, True)),
        ({"slope_t": -2.5, "adx": 24.0}, (0, False)),
        ({"slope_t": -9.0, "dm_direction": 2, "direction": 2}, (-3, True)),
        ({"slope_t": -9.0, "dm_direction": 2}, (-2, True)),
    ],
)
def test_a_trend_is_confirmed_by_two_of_three_of_one_sign(change: dict[str, Any], expected: tuple[int, bool]) -> None:
    assert votes(**(UP | change)) == expected


def test_lookback_covers_the_rank_window_and_the_month_of_the_hold_probability() -> None:
    assert score_lookback_hours(HOURLY, POLICY) == 720
    assert score_lookback_hours(Market("A-USDT", "4h"), POLICY) == 2_003


def test_the_hash_covers_policy_and_null_table() -> None:
    other_table = NullTable("x", NULLS.quantiles, NULLS.knots)
    other_policy = POLICY.model_copy(update={"grid_capacity": POLICY.grid_capacity.model_copy(update={"fee_bps": 9.0})})
    other_policy.grid_capacity.__dict__.pop("hash", None)
    other_verdict = POLICY.model_copy(update={"verdict": POLICY.verdict.model_copy(update={"risk_from": 61.0})})
    other_verdict.verdict.__dict__.pop("hash", None)

    assert len({scores_hash(POLICY, NULLS), scores_hash(POLICY, other_table), scores_hash(other_policy, NULLS)}) == 3
    assert scores_hash(other_verdict, NULLS) == scores_hash(POLICY, NULLS)


def test_a_wanted_hour_without_features_is_refused(engine: Any) -> None:
    with pytest.raises(MissingDataError, match="no row of features"):
        compute_scores(engine.features, engine.hours[-1:] + 3_600_000, HOURLY, POLICY, NULLS)


def test_without_models_there_are_no_probabilities_and_the_scores_are_the_same(engine: Any) -> None:
    bare = NullTable(NULLS.made_for, NULLS.quantiles, NULLS.knots)
    found = compute_scores(engine.features, engine.hours, HOURLY, POLICY, bare)

    for name in (*CLASS_PROBABILITIES, *OK_SHARES, *HOLD):
        assert np.isnan(found[name]).all(), name
        assert np.isfinite(engine.scores[name]).any(), name
    for name in ("trend_score", "range_quality_score", *VARIANCES):
        np.testing.assert_array_equal(found[name], engine.scores[name])
