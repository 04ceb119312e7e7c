"""The window of bars behind each hour: newest bar, warm-up and holes."""

import numpy as np
import pytest

from regime_pipeline.domain.features.windows import INCOMPLETE_WINDOW, OK, WARMING_UP, locate, newest_bars
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, START_MS, flat, walk


def test_the_newest_bar_of_an_hour_is_the_one_that_closed_by_its_end() -> None:
    hours = START_MS + HOUR_MS * np.arange(5)

    assert newest_bars(HOURLY, hours).tolist() == hours.tolist()
    assert newest_bars(Market("A-USDT", "15m"), hours).tolist() == (hours + 45 * 60_000).tolist()
    four = newest_bars(Market("A-USDT", "4h"), hours) - START_MS
    assert (four / HOUR_MS).tolist() == [-4, -4, -4, 0, 0]


def test_a_bar_above_one_hour_is_new_only_in_the_hour_of_its_close() -> None:
    candles = walk(10, market=Market("A-USDT", "4h"))

    found = locate(candles, START_MS + HOUR_MS * np.arange(8), 1)

    assert found.is_new_bar.tolist() == [False, False, False, True] * 2


def test_a_young_series_warms_up_until_its_window_and_one_bar_before_are_there() -> None:
    candles = flat(12)

    found = locate(candles, candles.open_time_ms, 10)

    assert found.status.tolist() == [WARMING_UP] * 10 + [OK] * 2
    assert found.row[found.status == OK].tolist() == [10, 11]


def test_a_hole_makes_windows_incomplete_until_it_is_their_old_end() -> None:
    candles = flat(40)
    holed = candles[np.delete(np.arange(40), 20)]

    found = locate(holed, candles.open_time_ms, 10)

    assert found.status[:20].tolist() == [WARMING_UP] * 10 + [OK] * 10
    assert found.status[20:].tolist() == [INCOMPLETE_WINDOW] * 10 + [WARMING_UP] + [OK] * 9


@pytest.mark.parametrize("offset_hours", [-5, 60])
def test_a_window_without_its_newest_bar_is_incomplete(offset_hours: int) -> None:
    candles = flat(20)

    found = locate(candles, np.array([START_MS + offset_hours * HOUR_MS]), 10)

    assert found.status.tolist() == [INCOMPLETE_WINDOW]


def test_without_any_candle_every_window_is_incomplete() -> None:
    assert locate(flat(3)[:0], np.array([START_MS]), 10).status.tolist() == [INCOMPLETE_WINDOW]
