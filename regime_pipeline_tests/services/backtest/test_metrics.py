"""Tests of `services.judgement.metrics`: by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.services.backtest.classes import ABSTAIN, Classes
from regime_pipeline.services.backtest.metrics import (
    brier,
    calibration_error,
    confusion,
    detection_delays,
    interval,
    score,
)


def classes(*codes: int) -> Classes:
    return np.array(codes, dtype=np.int8)


TRUTH = classes(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2)
PREDICTED = classes(-1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0)


def test_every_figure_by_hand() -> None:
    found = score(TRUTH, PREDICTED)

    assert found.confusion == ((2, 1, 0, 1), (2, 2, 0, 0), (4, 0, 0, 0))
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)
    assert found.range_precision == 2 / 8
    assert found.range_recall == pytest.approx(2 / 3)
    assert found.flip_ratio == 5 / 2
    assert (found.delay_bars, found.missed_share) == (2.0, 0.5)
    assert found.coverage == pytest.approx(11 / 12)


def test_a_perfect_prediction() -> None:
    found = score(TRUTH, TRUTH)

    assert (found.balanced_accuracy, found.macro_f1, found.flip_ratio) == (1.0, 1.0, 1.0)
    assert (found.delay_bars, found.missed_share, found.coverage) == (0.0, 0.0, 1.0)


def test_a_truth_without_changes_has_neither_flip_ratio_nor_delay() -> None:
    found = score(classes(0, 0, 0), classes(0, 1, 0))

    assert np.isnan([found.flip_ratio, found.delay_bars, found.missed_share]).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=30, max_size=60))
def test_accuracy_and_f1_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth = classes(*[0, 1, 2], *[t for t, _ in pairs])
    predicted = classes(*[0, 1, 2], *[p for _, p in pairs])

    found = score(truth, predicted)

    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert found.range_precision == pytest.approx(metrics.precision_score(truth, predicted, average=None)[0])
    np.testing.assert_array_equal(confusion(truth, predicted)[:, :3], metrics.confusion_matrix(truth, predicted))


def test_a_delay_ends_with_its_spell() -> None:
    delays, missed = detection_delays(classes(0, 1, 1, 2, 2, 0), classes(0, 0, 0, 1, 2, 0))

    assert delays.tolist() == [1, 0]
    assert missed == 1


def test_brier_and_calibration_of_sure_and_of_even_weights() -> None:
    truth = classes(0, 1, 2, 0)
    sure, even = np.eye(3)[truth], np.full((4, 3), 1 / 3)

    assert (brier(truth, sure), calibration_error(truth, sure)) == (0.0, 0.0)
    assert brier(truth, even) == pytest.approx(2 / 3)
    assert calibration_error(truth, even) == pytest.approx(0.5 - 1 / 3)
    assert brier(truth, np.eye(3)[(truth + 1) % 3]) == 2.0


def test_an_interval_holds_the_mean_and_leaves_nan_out() -> None:
    mean, low, high = interval([1.0, 2.0, 3.0, float("nan")])

    assert (mean, low, high) == (2.0, pytest.approx(1.0, abs=0.34), pytest.approx(3.0, abs=0.34))
    assert np.isnan(interval([float("nan")])).all()
    assert interval([5.0, 5.0]) == (5.0, 5.0, 5.0)
    assert ABSTAIN == -1
