"""Why a candle has a label or none: the words agree with the labels, and the promise of the next one is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.candle_regimes.label_windows import label_expected_ms, label_windows
from regime_pipeline.domain.candle_regimes.streaming import CandleStream
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.schema import INCOMPLETE_WINDOW, OK, PARTIAL, STATUSES, WARMING_UP
from regime_pipeline_tests.domain.candle_regimes.factories import POLICY, walk, without

WHOLE = walk(900, 5)
LONGEST = POLICY.holes.longest_bars
FIRST = POLICY.min_history_bars - 1


@st.composite
def holed(draw: st.DrawFn) -> Candles:
    """A walk with up to eight holes, tolerated ones and longer ones."""
    candles = WHOLE
    for place in draw(st.lists(st.integers(1, 800), max_size=8)):
        candles = without(candles, place, draw(st.sampled_from([1, 2, 3, LONGEST, LONGEST + 1])))
    return candles


@given(holed())
def test_a_candle_has_a_label_exactly_where_its_window_is_whole_enough(candles: Candles) -> None:
    windows = label_windows(candles, POLICY)
    is_labelled = (windows.status == OK) | (windows.status == PARTIAL)
    np.testing.assert_array_equal(is_labelled, classify(candles, POLICY).state != 0)
    np.testing.assert_array_equal(windows.absent > 0, windows.status == PARTIAL)
    for status in set(windows.status.tolist()):
        event(STATUSES[status])


def test_each_status_stands_for_its_own_reason() -> None:
    short, long = without(WHOLE, 400, 3), without(WHOLE, 400, LONGEST + 1)
    of_short, of_long = label_windows(short, POLICY), label_windows(long, POLICY)
    assert of_short.status[: FIRST + 1].tolist() == [WARMING_UP] * FIRST + [OK]
    assert of_short.status[399:402].tolist() == [OK, INCOMPLETE_WINDOW, PARTIAL], "one of the newest lacks, then three"
    assert of_short.absent[[399, 401, 401 + FIRST]].tolist() == [0, 3, 0]
    assert of_long.status[399:401].tolist() == [OK, WARMING_UP]
    assert of_long.status[400 + FIRST] == OK


@given(holed(), st.integers(1, 860))
def test_the_next_label_comes_when_it_was_said_to(candles: Candles, count: int) -> None:
    """If no bar is missing from then on: the walk itself, without further holes, comes after the cut."""
    known = candles[:count]
    later = WHOLE.between(int(known.close_time_ms[-1]), 2**62)
    columns = (np.concatenate([getattr(part, name) for part in (known, later)]) for name in _COLUMNS)
    joined = Candles(known.market, known.price_scale, *columns)
    status = label_windows(joined, POLICY).status
    ready = np.flatnonzero((status == OK) | (status == PARTIAL))
    following = ready[ready >= len(known) - 1]
    expected = label_expected_ms(known, POLICY)
    if not len(following):
        assert expected is not None
        assert expected > int(joined.close_time_ms[-1])
    elif following[0] == len(known) - 1:
        assert expected is None
        event("has a label")
    else:
        assert expected == int(joined.close_time_ms[following[0]])
        event("has none")


_COLUMNS = ("open_time_ms", "open", "high", "low", "close", "volume")


def test_without_candles_nothing_is_promised() -> None:
    assert label_expected_ms(WHOLE[:0], POLICY) is None
    assert len(label_windows(WHOLE[:0], POLICY).status) == 0


@pytest.mark.parametrize("cut", [1, 250, 402, 700])
def test_a_stream_says_the_same(cut: int) -> None:
    candles = without(WHOLE, 400, 3)
    whole, stream = label_windows(candles, POLICY), CandleStream(POLICY)
    for part in (slice(None, cut), slice(cut, cut + 1), slice(cut + 1, None)):
        stream.update(candles[part])
        np.testing.assert_array_equal(stream.windows.status, whole.status[part])
        np.testing.assert_array_equal(stream.windows.absent, whole.absent[part])
