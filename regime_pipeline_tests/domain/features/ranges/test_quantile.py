"""Range edges by quantiles of the last closes."""

import numpy as np

from regime_pipeline.domain.features.ranges.methods import RangeInputs, quantile_edges
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline_tests.domain.features.ranges.factories import newest_inputs
from regime_pipeline_tests.domain.verdicts.factories import POLICY, from_closes, walk


def test_edges_are_numpy_s_linear_quantiles_of_the_last_closes() -> None:
    candles = walk(300)
    ends = np.array([200, 201, 205, 299])
    windows = Windows.of(candles, ends, POLICY.features)
    low, high = quantile_edges(RangeInputs(windows, np.ones(4), np.zeros(4), POLICY.ranges))

    closes = [candles.close[end - 95 : end + 1] for end in ends]
    np.testing.assert_allclose(low, [np.quantile(c, 0.05) for c in closes], rtol=1e-12)
    np.testing.assert_allclose(high, [np.quantile(c, 0.95) for c in closes], rtol=1e-12)


def test_a_single_spike_moves_no_edge() -> None:
    closes = np.tile([900, 1_000, 1_100], 70)
    spiked = closes.copy()
    spiked[-10] = 5_000

    assert quantile_edges(newest_inputs(from_closes(closes))).ravel().tolist() == [900.0, 1_100.0]
    assert quantile_edges(newest_inputs(from_closes(spiked))).ravel().tolist() == [900.0, 1_100.0]
