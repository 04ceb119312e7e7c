"""Tests of `domain.periods`."""

from itertools import pairwise

import numpy as np

from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes, classify
from regime_pipeline.domain.candle_regimes.periods import periods, transitions
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED_OF_STATE
from regime_pipeline_tests.domain.candle_regimes.factories import MARKET, POLICY, walk, without

REGIMES = classify(without(walk(1500, 21), 800, 2), POLICY)


def test_periods_cover_every_candle_once_and_change_at_each_border() -> None:
    found = periods(REGIMES, MARKET)

    assert found.candles.sum() == len(REGIMES)
    assert ((found.end_ms - found.start_ms) == found.candles * MARKET.step_ms).all()
    row = 0
    for start, count, regime, mean in zip(
        found.start_ms, found.candles, found.regime, found.mean_confidence, strict=True
    ):
        assert REGIMES.open_time_ms[row] == start
        assert set(SIMPLIFIED_OF_STATE[REGIMES.state[row : row + count]].tolist()) == {regime}
        assert np.isclose(mean, REGIMES.confidence[row : row + count].mean())
        row += count
    borders = pairwise(zip(found.regime.tolist(), found.start_ms.tolist(), found.end_ms.tolist(), strict=True))
    assert all(left[0] != right[0] or left[2] != right[1] for left, right in borders)


def test_a_gap_ends_a_period_and_makes_no_transition() -> None:
    step = MARKET.step_ms
    times = np.array([0, 1, 4, 5, 6]) * step
    regimes = CandleRegimes(times, np.array([1, 1, 1, 4, 4], np.int16), np.array([0.2, 0.4, 0.6, 0.8, 1.0]))

    found = periods(regimes, MARKET)

    assert found.start_ms.tolist() == [0, 4 * step, 5 * step]
    assert found.end_ms.tolist() == [2 * step, 5 * step, 7 * step]
    assert found.mean_confidence.tolist() == [0.30000000000000004, 0.6, 0.9]
    matrix = transitions(found)
    assert matrix.sum() == 1
    assert matrix[SIMPLIFIED_OF_STATE[1], SIMPLIFIED_OF_STATE[4]] == 1


def test_no_candles_no_periods() -> None:
    none = CandleRegimes(np.empty(0, np.int64), np.empty(0, np.int16), np.empty(0))

    found = periods(none, MARKET)

    assert len(found.start_ms) == 0
    assert transitions(found).sum() == 0
