"""Verdict rows: types, weights, confidence and the properties of both."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regime_pipeline.domain.columnar import DTYPES
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.schema import RISKS, VERDICT_COLUMNS, VERDICTS
from regime_pipeline.domain.verdicts.explanation import competing
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_lookback_hours
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, POLICY, decide, hours_of, run, take, walk
from regime_pipeline_tests.reference.naive_verdicts import naive_verdict

WEIGHTS = ("weight_range_ok", "weight_range_weak", "weight_trend", "weight_transition")


@pytest.fixture(scope="module")
def engine() -> Any:
    candles = walk(1_400, 41)
    return SimpleNamespace(hours=hours_of(candles), **run(candles, hours_of(candles))._asdict())


def test_every_column_of_the_layout_is_there_with_its_type(engine: Any) -> None:
    assert {name: column.dtype for name, column in engine.verdicts.items()} == {
        column.name: np.dtype(DTYPES[column.kind]) for column in VERDICT_COLUMNS
    }


def test_every_value_is_that_of_the_naive_implementation(engine: Any) -> None:
    frame = pd.DataFrame(engine.features | engine.scores)
    for row in np.random.default_rng(4).choice(np.arange(700, 1_400), 15, replace=False):
        expected, found = naive_verdict(frame.iloc[: row + 1], POLICY), take(engine.verdicts, row)
        assert VERDICTS[found["verdict"]] == expected["verdict"]
        assert VERDICTS[found["instant_verdict"]] == expected["instant_verdict"]
        assert found["consensus"] == pytest.approx(expected["consensus"])
        assert found["confidence"] == pytest.approx(expected["confidence"])
        for name, verdict in zip(WEIGHTS, VERDICTS[1:], strict=True):
            assert found[name] == pytest.approx(expected["weights"][verdict])
        (others,) = competing(take(engine.verdicts, slice(row, row + 1)))
        assert [entry["verdict"] for entry in others] == expected["competing"]


def test_competing_verdicts_exclude_the_primary_and_sum_to_the_rest(engine: Any) -> None:
    for row in range(330, 1_400, 11):
        found = take(engine.verdicts, row)
        (others,) = competing(take(engine.verdicts, slice(row, row + 1)))
        weights = [entry["weight"] for entry in others]
        primary = VERDICTS[found["verdict"]]
        assert {entry["verdict"] for entry in others} == set(VERDICTS[1:]) - {primary}
        assert weights == sorted(weights, reverse=True)
        assert sum(weights) == pytest.approx(1 - found[WEIGHTS[found["verdict"] - 1]], abs=2e-6)


def test_insufficient_data_has_neither_weights_nor_confidence_nor_competitors(engine: Any) -> None:
    young = take(engine.verdicts, slice(0, 168 + 150))

    assert set(young["verdict"].tolist()) == {VERDICTS.index("INSUFFICIENT_DATA")}
    assert not young["confidence"].any()
    assert not young["consensus"].any()
    assert competing(young) == [[]] * len(young["verdict"])
    assert not young["rules_met"].any()
    for name in WEIGHTS:
        assert np.isnan(young[name]).all()
    assert engine.verdicts["verdict"][168 + 150] != 0


def test_a_range_without_consensus_has_no_edges_in_the_verdict(engine: Any) -> None:
    low, known = engine.verdicts["range_low"], engine.verdicts["verdict"] > 0

    assert 0 < np.isnan(low[known]).mean() < 0.5
    assert np.array_equal(low, engine.features["range_low"], equal_nan=True)


@pytest.mark.parametrize(
    ("features", "scores", "consensus"),
    [
        ({"range_confidence": 0.64}, {}, 0.64),
        ({}, {"mean_rev_score": 10.0}, 0.25),
        ({}, {"mean_rev_score": 10.0, "trend_score": 65.0, "range_quality_score": 10.0, "grid_levels": 0}, 1.0),
        ({}, {"trend_score": 80.0, "trend_votes": -2}, 2 / 3),
        ({}, {"vol_change_score": 80.0, "rank_log_volatility": 95.0, "rank_vol_log_ratio": 69.0}, 0.5),
        ({}, {"vol_change_score": 80.0, "rank_log_volatility": 70.0, "rank_vol_log_ratio": 70.5}, 1.0),
    ],
)
def test_consensus_is_the_share_of_the_verdicts_own_indicators(
    features: dict[str, Any], scores: dict[str, Any], consensus: float
) -> None:
    rows = take(decide(2, features, ranked_observations=300, **scores), -1)

    assert rows["consensus"] == pytest.approx(consensus)
    assert rows["completeness"] == 0.6


SHARES = {"ok_share_held": 0.9, "ok_share_open": 0.4}
CHANCES = {
    "RANGE_OK": {"p_range": 0.85, "p_trend": 0.1, "p_volatile": 0.05},
    "RANGE_WEAK": {"p_range": 0.6, "p_trend": 0.2, "p_volatile": 0.2},
    "TREND": {"p_range": 0.2, "p_trend": 0.6, "p_volatile": 0.2},
    "TRANSITION": {"p_range": 0.2, "p_trend": 0.2, "p_volatile": 0.6},
}
CLASS = {"RANGE_OK": "p_range", "RANGE_WEAK": "p_range", "TREND": "p_trend", "TRANSITION": "p_volatile"}


@pytest.mark.parametrize("verdict", CHANCES)
def test_weights_divide_the_range_and_sum_to_one(verdict: str) -> None:
    rows, chances = take(decide(2, **(CHANCES[verdict] | SHARES)), -1), CHANCES[verdict]
    share = 0.9 if verdict == "RANGE_OK" else 0.4
    ok, weak = chances["p_range"] * share, chances["p_range"] * (1 - share)

    assert VERDICTS[rows["verdict"]] == verdict
    np.testing.assert_allclose([rows[name] for name in WEIGHTS], [ok, weak, chances["p_trend"], chances["p_volatile"]])
    assert rows["confidence"] == chances[CLASS[verdict]]
    assert not rows["is_rule_override"]


def test_a_class_that_is_held_against_a_heavier_one_is_an_override() -> None:
    rows = decide(2, p_range=[0.2, 0.6], p_trend=[0.2, 0.05], p_volatile=[0.6, 0.35], **SHARES)

    assert [VERDICTS[code] for code in rows["verdict"]] == ["TRANSITION", "TRANSITION"]
    assert rows["is_rule_override"].tolist() == [False, True]  # RANGE_WEAK has .36


@pytest.mark.parametrize(
    ("verdict", "least", "most"),
    [("RANGE_OK", 0.81, 0.95), ("RANGE_WEAK", 0.6, 0.79), ("TREND", 0.6, 0.95), ("TRANSITION", 0.6, 0.95)],
)
def test_property_73_confidence_grows_with_the_probability_of_the_class_and_with_nothing_else(
    verdict: str, least: float, most: float
) -> None:
    own, others = CLASS[verdict], sorted(set(CLASS.values()) - {CLASS[verdict]})
    grown = [decide(2, **(CHANCES[verdict] | {own: p})) for p in np.linspace(least, most, 12)]
    same = [decide(2, **(CHANCES[verdict] | dict.fromkeys(others, p))) for p in np.linspace(0.05, 0.5, 12)]

    assert {VERDICTS[rows["verdict"][-1]] for rows in (*grown, *same)} == {verdict}
    assert (np.diff([rows["confidence"][-1] for rows in grown]) > 0).all()
    assert len({rows["confidence"][-1] for rows in same}) == 1


def test_without_a_fitted_model_there_are_no_weights_and_confidence_is_zero() -> None:
    rows = take(decide(2, **dict.fromkeys((*CLASS.values(), *SHARES), np.nan)), -1)

    assert rows["confidence"] == 0.0
    assert np.isnan([rows[name] for name in WEIGHTS]).all()
    assert not rows["is_rule_override"]


@pytest.mark.parametrize(
    ("trend", "vol_change", "risk"),
    [(59.9, 59.9, "NONE"), (60.0, 59.9, "TREND"), (60.0, 61.0, "TRANSITION"), (61.0, 61.0, "TREND")],
)
def test_the_dominant_risk_is_the_larger_danger(trend: float, vol_change: float, risk: str) -> None:
    rows = decide(2, trend_score=trend, vol_change_score=vol_change)

    assert RISKS[rows["dominant_risk"][-1]] == risk


def test_an_observation_without_scores_in_the_history_is_insufficient_data(engine: Any) -> None:
    hours = engine.hours[-1:]
    row = len(engine.hours) - 1
    without = np.delete(np.arange(len(engine.hours)), row - 1)

    whole = decide_verdicts(engine.features, engine.scores, hours, HOURLY, POLICY)
    holed = decide_verdicts(engine.features, take(engine.scores, without), hours, HOURLY, POLICY)

    assert holed["instant_verdict"].tolist() == holed["verdict"].tolist()
    assert whole["hour_start"].tolist() == holed["hour_start"].tolist()


@pytest.mark.parametrize("missing", ["features", "scores"])
def test_a_wanted_hour_without_rows_is_refused(engine: Any, missing: str) -> None:
    rows = {"features": engine.features, "scores": engine.scores}
    rows[missing] = take(rows[missing], slice(0, -1))

    with pytest.raises(MissingDataError, match=f"no row of {missing}"):
        decide_verdicts(rows["features"], rows["scores"], engine.hours[-1:], HOURLY, POLICY)


def test_the_hash_covers_the_scores_and_the_verdict_s_own_bounds() -> None:
    first, second = decide(1), decide(1, score_hash="1")

    assert first["policy_hash"][0] != second["policy_hash"][0]
    assert len(first["policy_hash"][0]) == 16


def test_lookback_covers_hysteresis_and_confirmation() -> None:
    assert verdict_lookback_hours(HOURLY, POLICY) == 168
    assert verdict_lookback_hours(Market("A-USDT", "4h"), POLICY) == 4 * 168 + 3
