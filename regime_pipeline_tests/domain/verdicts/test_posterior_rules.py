"""Verdicts that listen to the class probabilities: margin, thresholds of RANGE_OK, order of the steps, words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.posterior_kernels import hold_by_posterior
from regime_pipeline.domain.verdicts.verdict import decide_verdicts
from regime_pipeline_tests.domain.verdicts.factories import (
    POLICY,
    Engine,
    assert_same,
    decide,
    factors_of,
    hours_of,
    run,
    staged,
    take,
    walk,
)

UNSURE = {"mean_rev_score": 10.0, "range_quality_score": 40.0}
"""Scores that would bar RANGE_OK if they alone decided."""


def chances(p_range: Any, p_trend: Any) -> dict[str, Any]:
    """Class probabilities that sum to one."""
    p_range, p_trend = np.broadcast_arrays(np.asarray(p_range, float), np.asarray(p_trend, float))
    return {"p_range": p_range, "p_trend": p_trend, "p_volatile": 1.0 - p_range - p_trend}


def held(p_range: list[float], p_trend: Any = 0.0, features: dict[str, Any] | None = None, **scores: Any) -> list[str]:
    found = decide(len(p_range), features, **(chances(p_range, p_trend) | UNSURE | scores))
    return [VERDICTS[code] for code in found["verdict"].tolist()]


BELOW_80, BELOW_50 = float(np.nextafter(0.8, 0)), float(np.nextafter(0.5, 0))


def test_range_ok_begins_at_80_and_ends_below_50() -> None:
    assert held([BELOW_80, 0.8, 0.5, BELOW_50, 0.5], 0.2) == ["RANGE_WEAK", "RANGE_OK", "RANGE_OK", *["RANGE_WEAK"] * 2]


@pytest.mark.parametrize(
    ("features", "scores", "expected"),
    [
        ({"close": 90.0}, {}, "RANGE_OK"),
        ({"close": 110.0}, {}, "RANGE_OK"),
        ({"close": float(np.nextafter(90.0, 0))}, {}, "RANGE_WEAK"),
        ({"close": float(np.nextafter(110.0, 999))}, {}, "RANGE_WEAK"),
        ({"range_low": np.nan, "range_high": np.nan}, {}, "RANGE_WEAK"),
        ({}, {"range_quality_score": 30.0}, "RANGE_OK"),
        ({}, {"range_quality_score": float(np.nextafter(30.0, 0))}, "RANGE_WEAK"),
        ({}, {"grid_levels": 4}, "RANGE_OK"),
        ({}, {"grid_levels": 3}, "RANGE_WEAK"),
        ({}, {"grid_net_gain_bps": 9.9}, "RANGE_WEAK"),
    ],
)
def test_range_ok_needs_the_gate_the_close_inside_and_room_from_the_first_hour_to_the_last(
    features: dict[str, Any], scores: dict[str, Any], expected: str
) -> None:
    assert held([0.9], 0.1, features, **scores) == [expected]
    if "range_quality_score" in scores:
        scores = {"range_quality_score": [80.0, scores["range_quality_score"]]}
        assert held([0.9, 0.6], 0.1, features, **scores)[-1] == expected


def test_by_the_scores_alone_the_close_must_lie_inside_too() -> None:
    outside = {"close": [100.0, 100.0, 89.0, 89.0]}
    found = decide(4, outside)["verdict"]

    assert [VERDICTS[code] for code in found] == ["RANGE_OK"] * 3 + ["RANGE_WEAK"]


def test_a_class_changes_where_another_leads_by_the_margin() -> None:
    assert held([0.9, 0.34, 0.32, 0.60, 0.68], [0.05, 0.66, 0.68, 0.40, 0.32]) == [
        "RANGE_OK", "RANGE_WEAK", "TREND", "TREND", "RANGE_WEAK",
    ]  # fmt: skip


def test_where_two_classes_lead_the_seed_s_order_is_asked_first() -> None:
    p_range, p_trend = [0.8, 0.04], [0.1, 0.54]  # P(VOLATILE) .42 leads by the margin too, and VolChange proposes it

    assert held(p_range, p_trend)[-1] == "TREND"
    assert held(p_range, p_trend, vol_change_score=[0.0, 70.0])[-1] == "TREND"
    assert held(p_range, p_trend, vol_change_score=[0.0, 70.001])[-1] == "TRANSITION"


def test_a_trend_at_70_and_confirmed_is_asked_before_the_most_probable_class() -> None:
    p_range, p_trend = [0.8, 0.04], [0.1, 0.42]

    assert held(p_range, p_trend)[-1] == "TRANSITION"
    assert held(p_range, p_trend, trend_score=69.999, trend_votes=3)[-1] == "TRANSITION"
    assert held(p_range, p_trend, trend_score=70.0, trend_votes=3)[-1] == "TREND"
    assert held(p_range, p_trend, trend_score=70.0, trend_votes=[0, 3])[-1] == "TRANSITION"


def test_what_the_scores_say_alone_is_the_instant_verdict() -> None:
    rows = decide(2, **chances([0.9, 0.6], 0.1), vol_change_score=[0.0, 90.0])

    assert [VERDICTS[code] for code in rows["instant_verdict"]] == ["RANGE_OK", "TRANSITION"]
    assert VERDICTS[rows["verdict"][-1]] == "RANGE_OK"


def test_missing_data_starts_the_replay_again_and_what_lies_before_the_window_is_forgotten() -> None:
    hole = {"trend_score": [30.0, np.nan, 30.0]}
    assert held([0.9, np.nan, 0.6], [0.05, np.nan, 0.3], **hole) == ["RANGE_OK", "INSUFFICIENT_DATA", "RANGE_WEAK"]
    window = POLICY.verdict.hysteresis_observations
    assert held([0.9] + [0.6] * window, 0.1)[-2:] == ["RANGE_OK", "RANGE_WEAK"]


def test_an_hour_without_probabilities_among_others_is_decided_by_its_scores() -> None:
    assert held([0.9, np.nan], [0.05, np.nan], mean_rev_score=70.0, range_quality_score=80.0) == ["RANGE_OK"] * 2
    assert held([0.9, np.nan, np.nan], [0.05, np.nan, np.nan]) == ["RANGE_OK", "RANGE_OK", "RANGE_WEAK"]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_a_replay_that_begins_late_ends_where_the_whole_one_does(seed: int, window: int) -> None:
    random = np.random.default_rng(seed)
    chances = random.dirichlet([0.6, 0.6, 0.6], 60).T
    chances[:, random.random(60) < 0.03] = np.nan
    proposed = random.integers(-1, 3, 60).astype(np.int8)
    keeps, places = random.random(60) < 0.7, np.arange(60)
    enters = keeps & (random.random(60) < 0.5)

    found = hold_by_posterior(chances, proposed, enters, keeps, places, window, 0.34)

    for at in places:
        held, is_ok = -1, False
        for i in range(max(0, at - window + 1), at + 1):
            p = chances[:, i]
            if np.isnan(p[0]):
                held, is_ok = -1, False
                continue
            candidates = [int(c) for c in (proposed[i], np.argmax(p)) if c >= 0]
            leading = [c for c in candidates if held >= 0 and p[c] - p[held] >= 0.34]
            held = (leading or [int(np.argmax(p)) if held < 0 else held])[0]
            is_ok = bool(held == 0 and (enters[i] or (is_ok and keeps[i])))
        assert found[:, at].tolist() == [held, is_ok]


def test_hours_computed_singly_are_those_computed_together() -> None:
    candles = walk(1_100, 47)
    hours = hours_of(candles)
    whole = run(candles, hours)

    for at in range(800, 1_100, 23):
        rows = (take(part, slice(at - 168, at + 1)) for part in (whole.features, whole.scores))
        alone = decide_verdicts(*rows, hours[at : at + 1], candles.market, POLICY)
        assert_same(alone, take(whole.verdicts, slice(at, at + 1)))


SENTENCES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        chances(0.9, 0.05), {}, "RANGE_OK",
        "P(RANGE) 0.90 (at least 0.8), close inside the range: all met.",
    ),
    (
        chances(0.7, 0.1), {}, "RANGE_OK",
        "P(RANGE) 0.70 (at least 0.8), close inside the range: P(RANGE) not met.",
    ),
    (
        chances(0.9, 0.05), {"close": 120.0}, "RANGE_OK",
        "P(RANGE) 0.90 (at least 0.8), but the close is outside the range.",
    ),
    (
        chances(0.7, 0.1), {"close": 120.0}, "RANGE_OK",
        "P(RANGE) 0.70 (at least 0.8), close outside the range: neither met.",
    ),
    (
        chances(0.9, 0.05) | {"grid_levels": 3, "grid_net_gain_bps": 11.5}, {}, "GRID_CAPACITY",
        ("3 levels fit the suggested band (80% for 72 h; at least 4), 11.5 bps net per round trip (at least 10):"
        " too little for a grid."),
    ),
    (
        chances([0.9, 0.6], 0.1), {}, "CONFIRMATION",
        ("This hour alone says RANGE_WEAK; RANGE_OK holds while P(RANGE) 0.60 is at least 0.5, the close is inside the"
        " range and a grid fits."),
    ),
    (
        chances([0.9, 0.5], [0.05, 0.1]) | {"vol_change_score": 80.0}, {}, "CONFIRMATION",
        "This hour alone says TRANSITION; RANGE_OK holds until another class leads by 0.34.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("scores", "features", "rule", "sentence"), SENTENCES)
def test_the_deciding_rule_names_the_probabilities(
    scores: dict[str, Any], features: dict[str, Any], rule: str, sentence: str
) -> None:
    factors = factors_of(staged(2, features, **scores))

    assert {name for name, factor in factors.items() if factor["outcome"] == "decided"} == {rule}
    assert factors[rule]["sentence"] == sentence


def test_without_agreement_of_the_range_methods_the_rule_says_so() -> None:
    none = {"range_low": np.nan, "range_high": np.nan}
    said = factors_of(staged(2, none, **chances(0.9, 0.05), range_quality_score=29.0))["RANGE_OK"]

    assert said["sentence"] == "P(RANGE) 0.90 (at least 0.8), but the range methods do not agree."
    assert (said["outcome"], said["margin"]) == ("not met", pytest.approx(0.1))


def test_an_override_says_what_a_change_needs() -> None:
    engine = staged(2, **chances([0.9, 0.4], [0.0, 0.6]), ok_share_held=0.5, ok_share_open=0.5)
    said = factors_of(engine)["WEIGHTS"]

    assert bool(engine.verdicts["is_rule_override"][-1])
    assert said["sentence"] == (
        "The weights favour TREND (0.60) over RANGE_WEAK (0.20); a change of class needs a lead of 0.34."
    )


def test_on_a_whole_market_every_factor_has_its_sentence() -> None:
    candles = walk(1_000, 31)
    engine = run(candles, hours_of(candles))
    decided = set()
    for row in range(330, 1_000, 5):
        factors = factors_of(Engine(*(take(part, slice(row, row + 1)) for part in engine)))
        (rule,) = (name for name, factor in factors.items() if factor["outcome"] == "decided")
        is_held = engine.verdicts["verdict"][row] != engine.verdicts["instant_verdict"][row]
        assert (rule == "CONFIRMATION") == is_held
        decided.add(rule)
    assert {"CONFIRMATION", "RANGE_OK", "TREND", "TRANSITION"} <= decided
