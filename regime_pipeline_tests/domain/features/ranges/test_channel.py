"""Range edges by the channel of two deviations around the mean."""

import numpy as np
import pytest

from regime_pipeline.domain.features.ranges.methods import channel_edges
from regime_pipeline_tests.domain.features.ranges.factories import newest_inputs
from regime_pipeline_tests.domain.verdicts.factories import walk


def test_edges_are_two_deviations_around_the_mean() -> None:
    candles = walk(200)
    closes = candles.close[-48:]

    low, high = channel_edges(newest_inputs(candles)).ravel()

    assert low == pytest.approx(closes.mean() - 2 * closes.std(), rel=1e-12)
    assert high == pytest.approx(closes.mean() + 2 * closes.std(), rel=1e-12)


@pytest.mark.parametrize(("slope_t", "returns"), [(1.99, True), (2.0, False), (-1.99, True), (-2.0, False)])
def test_a_slope_makes_the_mean_meaningless(slope_t: float, returns: bool) -> None:
    edges = channel_edges(newest_inputs(walk(200), slope_t=slope_t))

    assert np.isfinite(edges).all() == returns
