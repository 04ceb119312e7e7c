"""Range edges by the volume profile: value area, bins and ties."""

import numpy as np

from regime_pipeline.domain.features.ranges.methods import profile_edges
from regime_pipeline_tests.domain.features.ranges.factories import newest_inputs
from regime_pipeline_tests.domain.verdicts.factories import flat, from_closes


def test_without_volume_nothing_is_returned() -> None:
    assert np.isnan(profile_edges(newest_inputs(flat(200, volume=0.0)))).all()


def test_the_area_grows_from_the_heaviest_price_to_seventy_percent() -> None:
    closes = np.full(200, 1_000)
    closes[-30:] = np.repeat([1_001, 1_002, 1_003], 10)
    low, high = profile_edges(newest_inputs(from_closes(closes), atr=1.0)).ravel()

    assert (low, high) == (1_000.0, 1_002.0)  # 66.5 bars at 1,000, 10 at 1,001: more than 0.7 x 96


def test_bins_lie_at_the_same_prices_whatever_the_window_holds() -> None:
    closes = np.full(200, 1_003)
    for outlier in (700, 911, 1_339):
        closes[-50] = outlier
        low, high = profile_edges(newest_inputs(from_closes(closes), atr=100.0)).ravel()
        assert (low, high) == (1_000.0, 1_020.0)  # 20 ticks wide, multiples of 20


def test_of_equal_prices_the_lower_wins() -> None:
    closes = np.repeat([1_000, 2_000], [152, 48])
    closes[-49:] = 2_000
    closes[-96:-48] = 1_000
    flat_halves = from_closes(closes)
    low, high = profile_edges(newest_inputs(flat_halves, atr=1.0)).ravel()

    assert low == 1_000.0
    assert high > 1_001.0
