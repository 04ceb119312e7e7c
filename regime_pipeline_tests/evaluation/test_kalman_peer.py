"""Tests of `evaluation.kalman_peer`: the filter against one written bar by bar, and what it says of plain series."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from regime_pipeline.evaluation.kalman_peer import LOOKBACK_BARS, RANGE_TO, TREND_FROM, kalman_ratio


def ratio_of_one_window(prices: NDArray[np.float64]) -> float:
    """Level and slope as two numbers and their variances as three, updated by hand."""
    level, slope, p_level, p_both, p_slope = prices[0], 0.0, 1e6, 0.0, 1e6
    found = []
    for price in prices:
        p_level, p_both = p_level + 2 * p_both + p_slope + 100, p_both + p_slope
        p_slope += 1
        level += slope
        surprise = price - level
        found.append(surprise)
        by_level, by_slope = p_level / (p_level + 40), p_both / (p_level + 40)
        level += by_level * surprise
        slope += by_slope * surprise
        p_slope -= by_slope * p_both
        p_both *= 1 - by_level
        p_level *= 1 - by_level
    return abs(slope) / max(float(np.sqrt(np.mean(np.square(found[-10:])))), 1.0)


def test_every_window_is_filtered_from_its_own_start() -> None:
    prices = 60_000 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.003, 150)))

    found = kalman_ratio(prices)

    assert np.isnan(found[: LOOKBACK_BARS - 1]).all()
    expected = [ratio_of_one_window(prices[end - LOOKBACK_BARS : end]) for end in range(LOOKBACK_BARS, 151)]
    np.testing.assert_allclose(found[LOOKBACK_BARS - 1 :], expected, rtol=1e-9)


def test_a_steady_rise_is_a_trend_and_a_still_price_a_range() -> None:
    assert kalman_ratio(60_000 + 30.0 * np.arange(80))[-1] > TREND_FROM
    assert kalman_ratio(np.full(80, 60_000.0))[-1] < RANGE_TO


@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_the_ratio_does_not_depend_on_the_unit_of_price_above_its_floor(scale: float) -> None:
    prices = 60_000 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.003, 100)))

    np.testing.assert_allclose(kalman_ratio(prices * scale), kalman_ratio(prices), rtol=1e-9)
