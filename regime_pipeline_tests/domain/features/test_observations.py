"""Observations on the hourly calendar: look-back, absent hours and bars longer than an hour."""

import numpy as np

from regime_pipeline.domain.features.observations import Observations, lookback_hours
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, START_MS


def test_lookback_reaches_the_hour_in_which_the_oldest_bar_closed() -> None:
    assert lookback_hours(HOURLY, 500) == 500
    assert lookback_hours(Market("A-USDT", "15m"), 500) == 500
    assert lookback_hours(Market("A-USDT", "4h"), 10) == 43


def test_absent_hours_leave_holes_in_the_calendar() -> None:
    hours = START_MS + HOUR_MS * np.array([0, 1, 4])
    calendar = Observations.of({"as_of_bar": hours, "value": np.array([1.0, 2.0, 3.0])}, HOURLY)

    assert np.array_equal(calendar.column("value"), [1.0, 2.0, np.nan, np.nan, 3.0], equal_nan=True)
    assert calendar.at(hours).tolist() == [0, 1, 4]


def test_hours_between_two_bars_are_one_observation() -> None:
    market = Market("A-USDT", "4h")
    hours = START_MS + HOUR_MS * np.arange(3, 11)
    as_of = START_MS + HOUR_MS * np.array([0, 0, 0, 0, 4, 4, 4, 4])
    calendar = Observations.of({"as_of_bar": as_of, "value": np.repeat([7.0, 8.0], 4)}, market)

    assert calendar.column("value").tolist() == [7.0, 8.0]
    assert calendar.at(hours).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_no_rows_make_an_empty_calendar() -> None:
    calendar = Observations.of({"as_of_bar": np.empty(0, dtype=np.int64)}, HOURLY)

    assert calendar.column("as_of_bar").tolist() == []
