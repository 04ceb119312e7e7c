"""The window of bars behind each hour: newest bar, warm-up and holes."""

import numpy as np
import pytest

from regime_pipeline.domain.features.windows import locate, newest_bars
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.schema import INCOMPLETE_WINDOW, OK, PARTIAL, WARMING_UP
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, POLICY, START_MS, flat, from_closes, walk

HOLES = POLICY.candle_regime.holes


def test_the_newest_bar_of_an_hour_is_the_one_that_closed_by_its_end() -> None:
    hours = START_MS + HOUR_MS * np.arange(5)

    assert newest_bars(HOURLY, hours).tolist() == hours.tolist()
    assert newest_bars(Market("A-USDT", "15m"), hours).tolist() == (hours + 45 * 60_000).tolist()
    four = newest_bars(Market("A-USDT", "4h"), hours) - START_MS
    assert (four / HOUR_MS).tolist() == [-4, -4, -4, 0, 0]


def test_a_bar_above_one_hour_is_new_only_in_the_hour_of_its_close() -> None:
    candles = walk(10, market=Market("A-USDT", "4h"))

    found = locate(candles, START_MS + HOUR_MS * np.arange(8), 1, HOLES)

    assert found.is_new_bar.tolist() == [False, False, False, True] * 2


def test_a_young_series_warms_up_until_its_window_and_one_bar_before_are_there() -> None:
    candles = flat(12)

    found = locate(candles, candles.open_time_ms, 10, HOLES)

    assert found.status.tolist() == [WARMING_UP] * 10 + [OK] * 2
    assert found.row[found.status == OK].tolist() == [10, 11]


def holed(first: int, count: int, bars: int = 60) -> Candles:
    """An hourly market that lacks `count` bars from the given one on."""
    return flat(bars)[np.delete(np.arange(bars), np.arange(first, first + count))]


def test_a_tolerated_hole_is_stepped_over_but_for_the_newest_bars() -> None:
    found = locate(holed(30, 1), flat(60).open_time_ms, 20, HOLES)

    assert found.status[20:30].tolist() == [OK] * 10
    assert found.status[30:32].tolist() == [INCOMPLETE_WINDOW] * 2
    assert found.status[32:51].tolist() == [PARTIAL] * 19
    assert found.status[51:].tolist() == [OK] * 9
    assert found.absent[29:51].tolist() == [0] * 3 + [1] * 19


@pytest.mark.parametrize(("count", "window"), [(9, 400), (3, 40)])
def test_too_long_a_hole_makes_windows_incomplete_until_it_is_behind_them(count: int, window: int) -> None:
    """Longer than `longest_bars` in the first case, than the window's share in the second."""
    bars, first = 4 * window, window + 50

    found = locate(holed(first, count, bars), flat(bars).open_time_ms, window, HOLES).status

    end = first + window + min(count, HOLES.tolerated(window))
    assert np.flatnonzero(found == INCOMPLETE_WINDOW).tolist() == list(range(first, end))
    assert set(found[first + count + window :].tolist()) == {OK}


def test_a_price_break_behind_a_hole_restarts_the_window() -> None:
    whole = from_closes(np.where(np.arange(60) < 30, 1_000, 3_001))

    found = locate(whole[np.delete(np.arange(60), 30)], whole.open_time_ms, 20, HOLES)

    assert PARTIAL not in found.status
    assert found.status[51:].tolist() == [OK] * 9


@pytest.mark.parametrize("offset_hours", [-5, 60])
def test_a_window_without_its_newest_bar_is_incomplete(offset_hours: int) -> None:
    candles = flat(20)

    found = locate(candles, np.array([START_MS + offset_hours * HOUR_MS]), 10, HOLES)

    assert found.status.tolist() == [INCOMPLETE_WINDOW]


def test_without_any_candle_every_window_is_incomplete() -> None:
    assert locate(flat(3)[:0], np.array([START_MS]), 10, HOLES).status.tolist() == [INCOMPLETE_WINDOW]
