"""Tests of `domain.restart_gates.range_since_stop`: properties of the filter, and a Bayes filter written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.restart_gates.range_since_stop import AT_THE_STOP, ClassWeights, after_bar
from regime_pipeline_tests.domain.restart_gates.factories import thresholds

T = thresholds()
UNKNOWN = (float("nan"),) * 3
SHARES = st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).filter(lambda drawn: sum(drawn) > 0.01)
PROBABILITIES = SHARES.map(lambda drawn: tuple(share / sum(drawn) for share in drawn))
COURSES = st.lists(PROBABILITIES, min_size=1, max_size=40)


def run(course: list[tuple[float, ...]], start: ClassWeights | None = None) -> list[ClassWeights | None]:
    found, weights = [], start
    for probabilities in course:
        weights = after_bar(weights, probabilities, T)
        found.append(weights)
    return found


@given(COURSES)
def test_weights_are_those_of_a_filter_in_matrices(course: list[tuple[float, ...]]) -> None:
    moves = np.full((3, 3), (1.0 - T.regime_stays) / 2.0)
    np.fill_diagonal(moves, T.regime_stays)
    expected = np.array(AT_THE_STOP)

    for probabilities, found in zip(course, run(course), strict=True):
        expected = (moves @ expected) * np.maximum(probabilities, 1e-9) ** T.bar_weight
        expected /= expected.sum()
        assert found is not None
        assert found == pytest.approx(expected.tolist(), abs=1e-12)
        assert sum(found) == pytest.approx(1.0)


@given(COURSES, st.integers(0, 39))
def test_it_goes_on_from_any_bar(course: list[tuple[float, ...]], cut: int) -> None:
    whole, place = run(course), min(cut, len(course) - 1)

    assert run(course[place + 1 :], whole[place]) == whole[place + 1 :]


@given(COURSES, PROBABILITIES, st.floats(0.0, 1.0))
def test_a_likelier_range_weighs_more(course: list[tuple[float, ...]], last: tuple[float, ...], share: float) -> None:
    (before, *_) = run(course)[-1:]
    nearer = (last[0] + share * (1.0 - last[0]), *((1.0 - share) * other for other in last[1:]))

    one, other = after_bar(before, last, T), after_bar(before, nearer, T)

    assert one is not None
    assert other is not None
    assert other[0] >= one[0] - 1e-12


def test_a_stop_begins_without_a_range_and_only_bars_bring_it_back() -> None:
    calm = run([(0.9, 0.05, 0.05)] * 200)
    first = next(bar for bar, weights in enumerate(calm, 1) if weights and weights[0] >= T.range_since_stop_from)

    assert calm[0] is not None
    assert calm[0][0] < 0.05
    assert 12 < first < 40
    assert calm[-1] is not None
    assert calm[-1][0] > 0.9


def test_unknown_bars_are_no_evidence_and_known_ones_count_from_the_first() -> None:
    assert run([UNKNOWN] * 5) == [None] * 5
    assert run([UNKNOWN, (0.2, 0.3, 0.5)])[-1] == run([(0.2, 0.3, 0.5)])[-1]
    before = after_bar(None, (0.2, 0.3, 0.5), T)
    assert before is not None

    after = after_bar(before, UNKNOWN, T)

    assert after is not None
    assert after[0] == pytest.approx(T.regime_stays * before[0] + (1 - T.regime_stays) * (1 - before[0]) / 2)


def test_no_class_is_lost_for_good() -> None:
    certain = run([(0.0, 0.0, 1.0)] * 30)[-1]
    assert certain is not None
    assert certain[0] > 0.0

    assert run([(1.0, 0.0, 0.0)] * 60, certain)[-1] == pytest.approx((1.0, 0.0, 0.0), abs=0.05)
