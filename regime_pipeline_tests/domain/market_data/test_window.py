"""Tests of `domain.window`."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, hour_of_close, to_iso, to_ms

NOON = to_ms("2020-03-12T12:00:00Z")


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - hypothesis wants naive bounds
)
def test_times_survive_printing(moment: datetime) -> None:
    ms = to_ms(moment.replace(tzinfo=UTC))

    assert to_ms(to_iso(ms)) == ms


def test_forms_of_a_time() -> None:
    assert to_iso(NOON) == "2020-03-12T12:00:00Z"
    assert to_iso(NOON + 1) == "2020-03-12T12:00:00.001Z"
    assert to_ms("2020-03-12T13:00:00+01:00") == NOON


@pytest.mark.parametrize(("text", "says"), [("2020-03-12T12:00:00", "has no offset"), ("noon", "is not a time")])
def test_other_times_are_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        to_ms(text)


@pytest.mark.parametrize(("start", "end"), [(NOON + 1, NOON + HOUR_MS), (NOON, NOON + 1), (NOON, NOON - HOUR_MS)])
def test_a_window_is_of_whole_hours(start: int, end: int) -> None:
    with pytest.raises(UsageError, match="not a span of whole hours"):
        Window(start, end)


def test_a_window_knows_its_hours() -> None:
    window = Window(NOON, NOON + 2 * HOUR_MS)

    assert len(window) == 2
    assert window.hours.tolist() == [NOON, NOON + HOUR_MS]
    assert Window.hour(NOON) == Window(NOON, NOON + HOUR_MS)
    assert str(window) == "2020-03-12T12:00:00Z to 2020-03-12T14:00:00Z"
    assert not len(Window(NOON, NOON))


@given(st.sampled_from(sorted(TIMEFRAME_MINUTES)), st.integers(0, 200), st.integers(0, 60))
def test_bars_and_hours_of_close_are_each_others_inverse(timeframe: str, first: int, count: int) -> None:
    market = Market("ETH-USDT", timeframe)
    window = Window(first * HOUR_MS, (first + count) * HOUR_MS)
    every_bar = np.arange(0, 300 * HOUR_MS, market.step_ms, dtype=np.int64)

    closing = bars_closing_in(market, window)

    hours = hour_of_close(market, every_bar)
    assert closing.tolist() == every_bar[(hours >= window.start_ms) & (hours < window.end_ms)].tolist()
    assert ((closing + market.step_ms > window.start_ms) & (closing + market.step_ms <= window.end_ms)).all()


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_times_outside_the_calendar_are_refused(text: str) -> None:
    """They are ISO-8601, but in UTC no such year can be printed."""
    with pytest.raises(UsageError, match="in no year of UTC"):
        to_ms(text)
