"""Range edges by the Donchian channel of the bars before the newest."""

import numpy as np

from regime_pipeline.domain.features.ranges.methods import donchian_edges
from regime_pipeline_tests.domain.features.ranges.factories import newest_inputs
from regime_pipeline_tests.domain.verdicts.factories import from_closes


def test_the_newest_bar_and_those_before_the_window_are_left_out() -> None:
    closes = np.full(200, 1_000)
    closes[-1] = 5_000
    closes[-60] = 10
    closes[-20], closes[-30] = 1_200, 800

    assert donchian_edges(newest_inputs(from_closes(closes, spread=5))).ravel().tolist() == [795.0, 1_205.0]
