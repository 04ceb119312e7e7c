"""The rules of the verdicts at their thresholds, with hysteresis and alarms."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.factors import DECIDED
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.scoring.kernels import hold_verdicts, softmax
from regime_pipeline_tests.domain.verdicts.factories import POLICY, decide, factors_of, staged

BELOW_72, BELOW_60, BELOW_58, BELOW_55, BELOW_48, BELOW_50 = (
    float(np.nextafter(bound, 0)) for bound in (72.0, 60.0, 58.0, 55.0, 48.0, 50.0)
)


def verdict(feature_values: dict[str, Any] | None = None, **score_values: Any) -> str:
    return VERDICTS[int(decide(2, feature_values, **score_values)["verdict"][-1])]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({}, "RANGE_OK"),
        ({"range_quality_score": 72.0}, "RANGE_OK"),
        ({"range_quality_score": BELOW_72}, "RANGE_WEAK"),
        ({"mean_rev_score": 55.0}, "RANGE_OK"),
        ({"mean_rev_score": BELOW_55}, "RANGE_WEAK"),
        ({"trend_score": BELOW_55}, "RANGE_OK"),
        ({"trend_score": 55.0}, "RANGE_WEAK"),
        ({"grid_levels": 4}, "RANGE_OK"),
        ({"grid_levels": 3}, "RANGE_WEAK"),
        ({"grid_net_gain_bps": 9.9}, "RANGE_WEAK"),
        ({"range_quality_score": 29.0}, "RANGE_WEAK"),
    ],
)
def test_a_tradable_range_needs_quality_reversion_no_trend_and_room(scores: dict[str, Any], expected: str) -> None:
    assert verdict(**scores) == expected


@pytest.mark.parametrize(("score", "expected"), [(70.0, "RANGE_OK"), (70.001, "TRANSITION"), (99.0, "TRANSITION")])
def test_volatility_strictly_above_70_is_a_transition(score: float, expected: str) -> None:
    assert verdict(vol_change_score=score) == expected


@pytest.mark.parametrize(
    ("score", "votes", "expected"),
    [
        (70.0, [2, 2], "TREND"),
        (70.0, [-3, -2], "TREND"),
        (69.999, [3, 3], "RANGE_WEAK"),
        (90.0, [1, 2], "RANGE_WEAK"),
        (90.0, [2, 1], "RANGE_WEAK"),
        (90.0, [-2, 2], "RANGE_WEAK"),
    ],
)
def test_a_trend_of_at_least_70_must_be_confirmed_on_two_observations(
    score: float, votes: list[int], expected: str
) -> None:
    assert verdict(trend_score=score, trend_votes=votes) == expected


@pytest.mark.parametrize("quality", [29.999, 30.0, 90.0])
def test_a_weak_range_bars_neither_transition_nor_trend(quality: float) -> None:
    alarms = {"trend_score": 80.0, "trend_votes": 3}

    assert verdict(vol_change_score=80.0, range_quality_score=quality) == "TRANSITION"
    assert verdict(**alarms, range_quality_score=quality) == "TREND"
    assert verdict(vol_change_score=80.0, **alarms, range_quality_score=quality) == "TRANSITION"


@pytest.mark.parametrize(("quality", "rule"), [(29.999, "met"), (30.0, "not met")])
def test_quality_strictly_below_30_is_a_weak_range(quality: float, rule: str) -> None:
    outcome = factors_of(staged(2, range_quality_score=quality))["RANGE_WEAK_GATE"]["outcome"]

    assert outcome == (DECIDED if rule == "met" else rule)


def held(**series: Any) -> list[str]:
    length = len(next(iter(series.values())))
    return [VERDICTS[code] for code in decide(length, **series)["verdict"].tolist()]


def test_a_new_verdict_needs_two_observations_and_an_alarm_one() -> None:
    weak, ok = 50.0, 80.0

    assert held(range_quality_score=[weak, ok, weak, ok, ok]) == ["RANGE_WEAK"] * 4 + ["RANGE_OK"]
    assert held(vol_change_score=[40, 80, 40, 40]) == ["RANGE_OK", "TRANSITION", "TRANSITION", "RANGE_OK"]
    assert held(trend_score=[30, 30, 80, 30, 30], trend_votes=[3] * 5) == [
        *["RANGE_OK"] * 2, "TREND", "TREND", "RANGE_OK",
    ]  # fmt: skip


def test_range_ok_is_left_only_below_58_or_with_a_trend_from_60_or_without_room() -> None:
    assert held(range_quality_score=[80, 58, 58, 58]) == ["RANGE_OK"] * 4
    assert held(range_quality_score=[80, BELOW_58, BELOW_58]) == ["RANGE_OK", "RANGE_OK", "RANGE_WEAK"]
    assert held(trend_score=[30, BELOW_60, BELOW_60]) == ["RANGE_OK"] * 3
    assert held(trend_score=[30, 60, 60]) == ["RANGE_OK", "RANGE_OK", "RANGE_WEAK"]
    assert held(mean_rev_score=[70, 10, 10, 10]) == ["RANGE_OK"] * 4
    assert held(grid_levels=[10, 3, 3]) == ["RANGE_OK", "RANGE_OK", "RANGE_WEAK"]


def test_trend_is_left_only_below_48_and_only_for_a_range() -> None:
    votes = [3] * 5
    assert held(trend_score=[80, 80, 48, 48, 48], trend_votes=votes)[1:] == ["TREND"] * 4
    assert held(trend_score=[80, 80, BELOW_48, BELOW_48], trend_votes=votes[1:])[1:] == ["TREND", "TREND", "RANGE_OK"]
    assert held(trend_score=[80] * 3, trend_votes=[3] * 3, vol_change_score=[40, 40, 80])[1:] == ["TREND", "TRANSITION"]


def test_transition_is_left_only_below_50_even_for_a_trend() -> None:
    assert held(vol_change_score=[80, 50, 50, 50]) == ["TRANSITION"] * 4
    assert held(vol_change_score=[80, BELOW_50, BELOW_50]) == ["TRANSITION", "TRANSITION", "RANGE_OK"]
    trend = {"trend_score": [80] * 4, "trend_votes": [3] * 4}
    assert held(vol_change_score=[80, 50, 50, 50], **trend) == ["TRANSITION"] * 4
    assert held(vol_change_score=[80, 80, BELOW_50, 40], **trend)[1:] == ["TRANSITION", "TREND", "TREND"]


def test_a_doubt_that_passes_starts_the_count_again() -> None:
    assert held(range_quality_score=[80, 50, 80, 50, 80, 50, 50])[-2:] == ["RANGE_OK", "RANGE_WEAK"]


def test_after_missing_data_the_first_verdict_is_taken_as_it_is() -> None:
    trend = [30, np.nan, 30, 30]

    assert held(trend_score=trend, range_quality_score=[80, 80, 50, 50]) == [
        "RANGE_OK", "INSUFFICIENT_DATA", "RANGE_WEAK", "RANGE_WEAK",
    ]  # fmt: skip


def test_what_lies_before_the_window_is_forgotten() -> None:
    window = POLICY.verdict.hysteresis_observations
    quality = [80.0] + [65.0] * window

    assert held(range_quality_score=quality)[-2:] == ["RANGE_OK", "RANGE_WEAK"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(1, 20))
def test_the_replay_never_reads_beyond_its_window(codes: list[int], window: int) -> None:
    instant = np.array(codes, dtype=np.int8)
    stays = np.zeros((5, len(codes)), dtype=np.bool_)
    confirm = np.array([2, 2, 2, 1, 1])
    last = len(codes) - 1

    whole = hold_verdicts(instant, stays, np.array([last]), window, confirm, 0)
    kept = np.ascontiguousarray(stays[:, -window:])
    cut = hold_verdicts(instant[-window:], kept, np.array([min(last, window - 1)]), window, confirm, 0)

    assert whole.tolist() == cut.tolist()
    assert (whole[0] == 0) == (codes[-1] == 0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_weights_sum_to_one_and_follow_the_utilities(utilities: list[float]) -> None:
    weights = softmax(np.array(utilities)[:, None], 0.15).ravel()

    assert weights.sum() == pytest.approx(1.0)
    expected = np.exp(np.array(utilities) / 0.15)
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-12)
