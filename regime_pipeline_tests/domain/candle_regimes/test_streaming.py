"""Tests of `domain.streaming`: any cut of the candles into calls gives the bits of the batch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.candle_regimes.classifier import classify, lookback_bars
from regime_pipeline.domain.candle_regimes.streaming import CandleStream
from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline_tests.domain.candle_regimes.factories import POLICY, walk, without

WALK = without(walk(3200, 21), 1200, 2)
WHOLE = classify(WALK, POLICY)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3198), max_size=6))
def test_any_cut_into_calls_gives_the_bits_of_the_batch(cuts: list[int]) -> None:
    stream = CandleStream(POLICY)
    edges = sorted({0, *cuts, len(WALK)})

    found = [stream.update(WALK[a:b]) for a, b in pairwise(edges)]

    np.testing.assert_array_equal(np.concatenate([part.state for part in found]), WHOLE.state)
    confidence = np.concatenate([part.confidence for part in found])
    np.testing.assert_array_equal(confidence.view(np.int64), WHOLE.confidence.view(np.int64))


def test_candle_by_candle_is_the_batch_across_anchors_and_a_gap() -> None:
    stream = CandleStream(POLICY)
    stream.update(WALK[:900])

    for row in range(900, 1700):
        found = stream.update(WALK[row : row + 1])
        assert (found.open_time_ms[0], found.state[0]) == (WHOLE.open_time_ms[row], WHOLE.state[row])
        assert found.confidence[0] == WHOLE.confidence[row]


def test_a_stream_keeps_a_bounded_past() -> None:
    stream = CandleStream(POLICY)
    stream.update(WALK)

    assert stream.known_bars == lookback_bars(POLICY)


def test_no_candles_change_nothing() -> None:
    stream = CandleStream(POLICY)
    stream.update(WALK[:300])

    assert len(stream.update(WALK[300:300])) == 0
    assert stream.known_bars == 300


@pytest.mark.parametrize("row", [0, 299])
def test_a_candle_that_is_not_newer_is_refused(row: int) -> None:
    stream = CandleStream(POLICY)
    stream.update(WALK[:300])

    with pytest.raises(BadCandlesError, match="is not after 20.*, the newest one the stream knows"):
        stream.update(WALK[row : row + 1])
    assert stream.update(WALK[300:301]).state[0] == WHOLE.state[300]


def test_another_market_or_scale_is_refused() -> None:
    stream = CandleStream(POLICY)
    stream.update(WALK[:300])

    for other in (replace(WALK[300:301], market=Market("ETH-USDT", "1h")), replace(WALK[300:301], price_scale=10)):
        with pytest.raises(BadCandlesError, match="cannot take candles of"):
            stream.update(other)
