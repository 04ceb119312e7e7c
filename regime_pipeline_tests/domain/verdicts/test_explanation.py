"""Explanations of verdicts: the deciding rule in one sentence, every rule as data, and both true to the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.explanation import RULES, explain
from regime_pipeline_tests.domain.verdicts.factories import (
    POLICY,
    Engine,
    factors_of,
    hours_of,
    run,
    staged,
    take,
    walk,
)

QUALITY_80 = "Range quality 80.0 (at least 72)"
UNTIL = "until 2 observations in a row disagree."
HELD = f"RANGE_OK holds while range quality is at least 58, trend is below 60 and a grid fits, or {UNTIL}"
BAND = "the suggested band (80% for 72 h; at least 4)"
ABSENT = {"trend_score": np.nan}
CASES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        {},
        {},
        "RANGE_OK",
        "Range quality 80.0 (at least 72), mean reversion 70.0 (at least 55), trend 30.0 (below 55): all met.",
    ),
    (
        {},
        {"mean_rev_score": 54.0},
        "RANGE_OK",
        f"{QUALITY_80}, mean reversion 54.0 (at least 55), trend 30.0 (below 55): mean reversion not met.",
    ),
    (
        {},
        {"mean_rev_score": 5.0, "trend_score": 65.0},
        "RANGE_OK",
        f"{QUALITY_80}, mean reversion 5.0 (at least 55), trend 65.0 (below 55): mean reversion and trend not met.",
    ),
    (
        {},
        {"range_quality_score": 12.34},
        "RANGE_WEAK_GATE",
        "Range quality 12.3 is below 30: too weak for RANGE_OK.",
    ),
    (
        {"range_low": np.nan},
        {"range_quality_score": 29.0},
        "RANGE_WEAK_GATE",
        "Range quality 29.0 is below 30 because the range methods do not agree: no RANGE_OK.",
    ),
    (
        {},
        {"vol_change_score": 81.0},
        "TRANSITION",
        "Volatility change 81.0 is above 70: TRANSITION.",
    ),
    (
        {},
        {"trend_score": 75.0, "trend_votes": -2},
        "TREND",
        "Trend 75.0 (2 of 3 indicators agree) is at least 70, confirmed on 2 observations in a row: TREND.",
    ),
    (
        {},
        {"grid_levels": 3, "grid_net_gain_bps": 11.5},
        "GRID_CAPACITY",
        f"3 levels fit {BAND}, 11.5 bps net per round trip (at least 10): too little for a grid.",
    ),
    (
        {},
        {"grid_levels": 0, "grid_net_gain_bps": np.nan},
        "GRID_CAPACITY",
        f"0 levels fit {BAND}: no grid fits.",
    ),
    (
        {},
        {"range_quality_score": [80.0, 65.0]},
        "CONFIRMATION",
        f"This hour alone says RANGE_WEAK; {HELD}",
    ),
    (
        {},
        {"range_quality_score": [50.0, 80.0]},
        "CONFIRMATION",
        f"This hour alone says RANGE_OK; RANGE_WEAK holds {UNTIL}",
    ),
    (
        {},
        {"trend_score": [75.0, 75.0, 49.0], "trend_votes": [2, 2, 2]},
        "CONFIRMATION",
        f"This hour alone says RANGE_OK; TREND holds while the trend score is at least 48, or {UNTIL}",
    ),
    (
        {},
        {"vol_change_score": [75.0, 75.0, 51.0]},
        "CONFIRMATION",
        f"This hour alone says RANGE_OK; TRANSITION holds while volatility change is at least 50, or {UNTIL}",
    ),
    (
        {},
        ABSENT | {"ranked_observations": 149},
        "DATA",
        "The window is complete, but there are only 149 earlier observations (at least 150 needed).",
    ),
    (
        {"status": 1},
        ABSENT | {"status": 1, "ranked_observations": 9},
        "DATA",
        "Too many of the last 168 bars are missing, or a newest one (9 earlier observations).",
    ),
    (
        {"status": 3, "absent_bars": 7},
        ABSENT | {"status": 3, "ranked_observations": 149},
        "DATA",
        "The window lacks 7 bars, and there are only 149 earlier observations (at least 150 needed).",
    ),
    (
        {"status": 2},
        ABSENT | {"status": 2},
        "DATA",
        "Still warming up: the series has fewer than 168 bars (500 earlier observations).",
    ),
]


@pytest.mark.parametrize(("features", "scores", "decided_by", "sentence"), CASES)
def test_the_deciding_rule_says_why_in_one_sentence(
    features: dict[str, Any], scores: dict[str, Any], decided_by: str, sentence: str
) -> None:
    length = max([2, *(len(series) for series in scores.values() if isinstance(series, list))])
    engine = staged(length, features, **scores)

    decided = [factor for factor in factors_of(engine).values() if factor["outcome"] == "decided"]

    assert [factor["rule"] for factor in decided] == [decided_by]
    assert decided[0]["sentence"] == sentence
    assert deciding(explain(engine.verdicts, engine.scores, engine.features, POLICY)[-1]).sentence == sentence


def test_every_rule_reports_inputs_threshold_margin_and_outcome() -> None:
    factors = factors_of(staged(2, {"range_agreement": 0.61}, vol_change_score=69.5, trend_votes=1))

    assert tuple(factors) == RULES
    assert {tuple(factor) for factor in factors.values()} == {
        ("rule", "inputs", "threshold", "margin", "outcome", "sentence")
    }
    assert factors["DATA"]["margin"] == 350
    assert factors["RANGE_WEAK_GATE"]["inputs"] == {
        "range_quality_score": 80.0, "range_methods": 5, "range_agreement": 0.61,
    }  # fmt: skip
    assert (factors["RANGE_WEAK_GATE"]["margin"], factors["RANGE_WEAK_GATE"]["outcome"]) == (-50.0, "not met")
    assert (factors["TRANSITION"]["inputs"], factors["TRANSITION"]["margin"]) == ({"vol_change_score": 69.5}, -0.5)
    assert factors["TRANSITION"]["sentence"] == "Volatility change 69.5 is not above 70: no TRANSITION."
    assert (factors["TREND"]["margin"], factors["TREND"]["inputs"]["trend_votes"]) == (-40.0, 1)
    assert factors["RANGE_OK"]["margin"] == 8.0
    assert (factors["GRID_CAPACITY"]["margin"], factors["GRID_CAPACITY"]["outcome"]) == (6, "met")
    assert factors["CONFIRMATION"] == {
        "rule": "CONFIRMATION", "inputs": {"instant_verdict": "RANGE_OK", "verdict": "RANGE_OK"}, "threshold": 2,
        "margin": None, "outcome": "met", "sentence": "This hour alone says RANGE_OK, as does the verdict.",
    }  # fmt: skip


def test_an_unconfirmed_trend_says_so() -> None:
    sentence = factors_of(staged(2, trend_score=88.0, trend_votes=[0, 3]))["TREND"]["sentence"]

    assert sentence == (
        "Trend 88.0 (3 of 3 indicators agree) is at least 70 but not confirmed on 2 observations in a row: no TREND."
    )


def test_on_a_whole_market_every_number_in_the_factors_is_the_row_s() -> None:
    candles = walk(1_000, 31)
    engine = run(candles, hours_of(candles))
    seen = set()

    for row in range(330, 1_000, 7):
        factors = factors_of(Engine(*(take(part, slice(row, row + 1)) for part in engine)))
        for inputs in (factor["inputs"] for factor in factors.values()):
            for name in inputs.keys() & engine.scores.keys() - {"status"}:
                told = np.nan if inputs[name] is None else inputs[name]
                assert told == pytest.approx(float(engine.scores[name][row]), abs=1e-6, nan_ok=True), name
        verdict = VERDICTS[engine.verdicts["verdict"][row]]
        assert factors["CONFIRMATION"]["inputs"]["verdict"] == verdict
        assert [factor["outcome"] for factor in factors.values()].count("decided") == 1
        for rule in ("RANGE_WEAK_GATE", "TRANSITION", "GRID_CAPACITY"):
            if factors[rule]["outcome"] != "decided":
                assert (factors[rule]["margin"] >= 0) == (factors[rule]["outcome"] == "met"), rule
        seen.add(verdict)

    assert seen == set(VERDICTS) - {"INSUFFICIENT_DATA"}
