import json
from typing import Any

import numpy as np
import pytest

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.hourly_summary import deciding_sentence
from regime_pipeline_tests.domain.verdicts.factories import decide, hours_of, run, take, walk

UNTIL = "until 2 observations in a row say otherwise."
HELD = f"RANGE_OK stays at RangeQuality from 58, Trend below 60 and room for a grid, else {UNTIL}"
RULES = ["DATA", "RANGE_WEAK_GATE", "TRANSITION", "TREND", "RANGE_OK", "GRID_CAPACITY", "CONFIRMATION"]


def last_row(rows: Rows) -> dict[str, Any]:
    return {name: column[-1] for name, column in rows.items()}


def factors_of(rows: Rows) -> dict[str, dict[str, Any]]:
    return {factor["rule"]: factor for factor in json.loads(rows["factors"][-1])}


ABSENT = {"trend_score": np.nan}
CASES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        {},
        {},
        "RANGE_OK",
        "RangeQuality 80.0 (at least 72), MeanRev 70.0 (at least 55), Trend 30.0 (below 55): all met.",
    ),
    (
        {},
        {"mean_rev_score": 54.0},
        "RANGE_OK",
        "RangeQuality 80.0 (at least 72), MeanRev 54.0 (at least 55), Trend 30.0 (below 55): MeanRev not met.",
    ),
    (
        {},
        {"mean_rev_score": 5.0, "trend_score": 65.0},
        "RANGE_OK",
        "RangeQuality 80.0 (at least 72), MeanRev 5.0 (at least 55), Trend 65.0 (below 55): MeanRev and Trend not met.",
    ),
    (
        {},
        {"range_quality_score": 12.34},
        "RANGE_WEAK_GATE",
        "RangeQuality 12.3 is below 30: the range is weak and RANGE_OK is barred.",
    ),
    (
        {"range_low": np.nan},
        {"range_quality_score": 29.0},
        "RANGE_WEAK_GATE",
        "RangeQuality 29.0 is below 30 because the methods agree on no range: RANGE_OK is barred.",
    ),
    (
        {},
        {"vol_change_score": 81.0},
        "TRANSITION",
        "VolChange 81.0 is above 70: TRANSITION.",
    ),
    (
        {},
        {"trend_score": 75.0, "trend_votes": -2},
        "TREND",
        "Trend 75.0 (2 of 3 witnesses) is at least 70 and confirmed on 2 observations: TREND.",
    ),
    (
        {},
        {"grid_levels": 3, "grid_net_gain_bps": 11.5},
        "GRID_CAPACITY",
        "3 levels fit (at least 4), 11.50 bps net per round trip (at least 10): too little for a grid.",
    ),
    (
        {},
        {"grid_levels": 0, "grid_net_gain_bps": np.nan},
        "GRID_CAPACITY",
        "0 levels fit (at least 4), no bps net per round trip (at least 10): too little for a grid.",
    ),
    (
        {},
        {"range_quality_score": [80.0, 65.0]},
        "CONFIRMATION",
        f"This observation alone says RANGE_WEAK: {HELD}",
    ),
    (
        {},
        {"range_quality_score": [50.0, 80.0]},
        "CONFIRMATION",
        f"This observation alone says RANGE_OK: the verdict before it stays {UNTIL}",
    ),
    (
        {},
        {"trend_score": [75.0, 75.0, 49.0], "trend_votes": [2, 2, 2]},
        "CONFIRMATION",
        f"This observation alone says RANGE_OK: TREND stays at Trend from 48, else {UNTIL}",
    ),
    (
        {},
        {"vol_change_score": [75.0, 75.0, 51.0]},
        "CONFIRMATION",
        f"This observation alone says RANGE_OK: TRANSITION stays at VolChange from 50, else {UNTIL}",
    ),
    (
        {},
        ABSENT | {"ranked_observations": 149},
        "DATA",
        "Data: the window is whole but only 149 of at least 150 earlier observations are there.",
    ),
    (
        {"status": 1},
        ABSENT | {"status": 1, "ranked_observations": 9},
        "DATA",
        "Data: a bar is missing inside the window of 168 bars (9 earlier observations are there).",
    ),
    (
        {"status": 2},
        ABSENT | {"status": 2},
        "DATA",
        "Data: the series is younger than the window of 168 bars (500 earlier observations are there).",
    ),
]


@pytest.mark.parametrize(("features", "scores", "decided_by", "sentence"), CASES)
def test_the_deciding_rule_says_why_in_one_sentence(
    features: dict[str, Any], scores: dict[str, Any], decided_by: str, sentence: str
) -> None:
    length = max([2, *(len(series) for series in scores.values() if isinstance(series, list))])
    rows = decide(length, features, **scores)

    decided = [factor for factor in factors_of(rows).values() if factor["outcome"] == "decided"]

    assert [factor["rule"] for factor in decided] == [decided_by]
    assert deciding_sentence(json.loads(last_row(rows)["factors"])) == sentence == decided[0]["sentence"]


def test_every_rule_reports_inputs_threshold_margin_and_outcome() -> None:
    rows = decide(2, {"range_agreement": 0.61}, vol_change_score=69.5, trend_votes=1)
    factors = factors_of(rows)

    assert list(factors) == RULES
    assert {tuple(factor) for factor in factors.values()} == {
        ("rule", "inputs", "threshold", "margin", "outcome", "sentence")
    }
    assert factors["DATA"]["margin"] == 350
    assert factors["RANGE_WEAK_GATE"]["inputs"] == {
        "range_quality_score": 80.0, "range_methods": 5, "range_agreement": 0.61,
    }  # fmt: skip
    assert (factors["RANGE_WEAK_GATE"]["margin"], factors["RANGE_WEAK_GATE"]["outcome"]) == (-50.0, "not met")
    assert (factors["TRANSITION"]["inputs"], factors["TRANSITION"]["margin"]) == ({"vol_change_score": 69.5}, -0.5)
    assert factors["TRANSITION"]["sentence"] == "VolChange 69.5 is not above 70: no TRANSITION."
    assert (factors["TREND"]["margin"], factors["TREND"]["inputs"]["trend_votes"]) == (-40.0, 1)
    assert factors["RANGE_OK"]["margin"] == 8.0
    assert (factors["GRID_CAPACITY"]["margin"], factors["GRID_CAPACITY"]["outcome"]) == (6, "met")
    assert factors["CONFIRMATION"] == {
        "rule": "CONFIRMATION", "inputs": {"instant_verdict": "RANGE_OK", "verdict": "RANGE_OK"}, "threshold": 2,
        "margin": None, "outcome": "met", "sentence": "This observation alone says RANGE_OK: the verdict agrees.",
    }  # fmt: skip


def test_an_unconfirmed_trend_says_so() -> None:
    sentence = factors_of(decide(2, trend_score=88.0, trend_votes=[0, 3]))["TREND"]["sentence"]

    assert sentence == "Trend 88.0 (3 of 3 witnesses) is at least 70 but not confirmed on 2 observations: no TREND."


def test_on_a_whole_market_every_number_in_the_factors_is_the_row_s() -> None:
    candles = walk(1_000, 31)
    engine = run(candles, hours_of(candles))
    seen = set()

    for row in range(330, 1_000, 7):
        factors = factors_of(take(engine.verdicts, slice(row, row + 1)))
        for inputs in (factor["inputs"] for factor in factors.values()):
            for name in inputs.keys() & engine.scores.keys() - {"status"}:
                told = np.nan if inputs[name] is None else inputs[name]
                assert told == pytest.approx(float(engine.scores[name][row]), abs=0.00501, nan_ok=True), name
        verdict = VERDICTS[engine.verdicts["verdict"][row]]
        assert factors["CONFIRMATION"]["inputs"]["verdict"] == verdict
        assert [factor["outcome"] for factor in factors.values()].count("decided") == 1
        for rule in ("RANGE_WEAK_GATE", "TRANSITION", "GRID_CAPACITY"):
            if factors[rule]["outcome"] != "decided":
                assert (factors[rule]["margin"] >= 0) == (factors[rule]["outcome"] == "met"), rule
        seen.add(verdict)

    assert seen == set(VERDICTS) - {"INSUFFICIENT_DATA"}
