"""Range edges by clusters of swing pivots, known only after the bars that confirm them."""

import numpy as np
import pytest

from regime_pipeline.domain.features.ranges.methods import pivot_edges
from regime_pipeline_tests.domain.features.ranges.factories import newest_inputs
from regime_pipeline_tests.domain.verdicts.factories import from_closes

SWING = [0, 20, 40, 60, 80, 60, 40, 20, 0, -20, -40, -60, -80, -60, -40, -20]


def swings(bars: int = 200) -> np.ndarray:
    return 10_000 + np.resize(SWING, bars)


def test_swings_give_their_turning_points() -> None:
    assert pivot_edges(newest_inputs(from_closes(swings()))).ravel().tolist() == [9_920.0, 10_080.0]


def test_a_pivot_is_unknown_until_the_bars_after_it_have_closed() -> None:
    peak = 196  # of the swing 180..212
    closes = swings(peak + 4)
    closes[peak] = 10_083

    def upper(newest: int) -> float:
        return float(pivot_edges(newest_inputs(from_closes(closes[: newest + 1])))[1, 0])

    assert upper(peak + 2) == 10_080.0
    assert 10_080.0 < upper(peak + 3) < 10_083.0


def test_the_largest_cluster_is_the_edge_and_of_equals_the_outer_one() -> None:
    closes = swings(208)
    peaks = np.flatnonzero(closes == 10_080)[-6:]
    closes[peaks[:2]] = 10_200
    few_high = pivot_edges(newest_inputs(from_closes(closes)))[1, 0]
    closes[peaks[2]] = 10_200
    as_many_high = pivot_edges(newest_inputs(from_closes(closes)))[1, 0]

    assert (few_high, as_many_high) == (10_080.0, 10_200.0)


@pytest.mark.parametrize("closes", [np.full(200, 1_000), 1_000 + 3 * np.arange(200)])
def test_without_swings_nothing_is_returned(closes: np.ndarray) -> None:
    assert np.isnan(pivot_edges(newest_inputs(from_closes(closes)))).all()
