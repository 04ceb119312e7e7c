"""Tests of `domain.hold.volatility`: the plain definition, exactness from any start, timeframes, holes."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.hold.volatility import (
    FEWEST_HOURS,
    WINDOW_HOURS,
    hold_lookback_hours,
    recent_volatility,
)
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.resample import resample, resample_complete
from regime_pipeline_tests.domain.hold.factories import HOURLY, hours_of, simulated


def plainly(candles: Candles, hour: int, window: int, fewest: int, step_hours: int) -> float:
    """The definition, one close after the other."""
    closes = dict(zip(candles.close_time_ms.tolist(), candles.prices("close").tolist(), strict=True))
    end, step = hour + HOUR_MS, step_hours * HOUR_MS
    ends = range(end, end - window * HOUR_MS, -step)
    pairs = [(closes.get(t), closes.get(t - step)) for t in ends]
    squares = [np.log(now / before) ** 2 for now, before in pairs if now is not None and before is not None]
    return float(np.mean(squares)) / step_hours if len(squares) * step_hours >= fewest and end in closes else np.nan


@pytest.mark.parametrize(("timeframe", "step_hours"), [("15m", 1), ("1h", 1), ("4h", 4)])
def test_the_means_are_those_of_the_definition_with_holes(timeframe: str, step_hours: int) -> None:
    candles = simulated({"15m": 3_600, "1h": 900, "4h": 300}[timeframe], timeframe)
    rng = np.random.default_rng(2)
    candles = candles[rng.random(len(candles)) > 0.03]
    hours = hours_of(simulated(1_000))[::37]

    found = recent_volatility(candles, hours)

    expected = [
        [plainly(candles, int(hour), window, fewest, step_hours) for hour in _newest(hours, step_hours)]
        for window, fewest in zip(WINDOW_HOURS, FEWEST_HOURS, strict=True)
    ]
    np.testing.assert_allclose(found.volatilities, expected, rtol=1e-12)
    assert 5 < np.isfinite(found.volatilities[2]).sum() < len(hours)


def _newest(hours: np.ndarray, step_hours: int) -> np.ndarray:
    """Hours at whose end the newest bar of each closes."""
    step = step_hours * HOUR_MS
    return (hours + HOUR_MS) // step * step - HOUR_MS


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m"])
def test_below_one_hour_the_figures_are_those_of_the_hourly_candles(timeframe: str) -> None:
    bars = simulated(340 * 60 // {"1m": 1, "5m": 5, "15m": 15}[timeframe], timeframe)
    hourly = resample_complete(bars, "1h")
    hours = hours_of(hourly)

    short, long = recent_volatility(bars, hours), recent_volatility(hourly, hours)

    np.testing.assert_array_equal(short.volatilities, long.volatilities)
    np.testing.assert_array_equal(short.close, long.close)
    assert np.isfinite(short.volatilities[:, -1]).all()


def test_on_4h_the_hours_between_two_bars_repeat_the_newest() -> None:
    candles = resample(simulated(1_600), "4h")
    hours = np.arange(4) * HOUR_MS + int(candles.close_time_ms[-2]) - HOUR_MS

    found = recent_volatility(candles, hours)

    assert len(set(found.close.tolist())) == 1
    assert np.ptp(found.volatilities, axis=1).tolist() == [0, 0, 0]


def test_on_1d_there_is_nothing() -> None:
    candles = simulated(900, "1d")

    assert np.isnan(recent_volatility(candles, hours_of(candles)[-3:]).volatilities).all()


@pytest.mark.parametrize(("timeframe", "bars"), [("15m", 4_400), ("1h", 1_100), ("4h", 700)])
def test_only_the_lookback_counts_from_any_start_to_any_end(timeframe: str, bars: int) -> None:
    candles = simulated(bars, timeframe)
    hours = int(candles.close_time_ms[-1]) - HOUR_MS * np.arange(200, 0, -1)
    whole = recent_volatility(candles, hours)
    assert np.isfinite(whole.volatilities).all()

    for at in (0, 77, 199):
        hour = int(hours[at])
        first = hour - hold_lookback_hours(candles.market) * HOUR_MS
        alone = candles[(candles.close_time_ms > first) & (candles.close_time_ms <= hour + HOUR_MS)]
        found = recent_volatility(alone, hours[at : at + 1])
        assert found.volatilities[:, 0].tobytes() == np.ascontiguousarray(whole.volatilities[:, at]).tobytes()
        assert found.close[0] == whole.close[at]


@pytest.mark.parametrize("window", [0, 1, 2])
def test_one_return_too_few_is_nan_and_just_enough_is_not(window: int) -> None:
    candles, fewest = simulated(800), FEWEST_HOURS[window]
    enough = recent_volatility(candles[: fewest + 1], hours_of(candles)[fewest : fewest + 1])
    short = recent_volatility(candles[:fewest], hours_of(candles)[fewest - 1 : fewest])

    assert np.isfinite(enough.volatilities[window, 0])
    assert np.isnan(short.volatilities[window, 0])


def test_without_its_newest_close_an_hour_has_nothing() -> None:
    candles = simulated(800)
    hours = hours_of(candles)[-1:]

    found = recent_volatility(candles[:-1], hours)

    assert np.isnan(found.close).all()
    assert np.isnan(found.volatilities).all()


def test_a_price_that_never_moved_has_no_volatility() -> None:
    hours = np.arange(800) * HOUR_MS
    flat = np.full(800, 100)
    candles = Candles(HOURLY, 100, hours, flat, flat, flat, flat, np.zeros(800))

    assert np.isnan(recent_volatility(candles, hours[-1:]).volatilities).all()


def test_no_candles_give_nan() -> None:
    found = recent_volatility(Candles.empty(HOURLY, 100), np.array([0, HOUR_MS]))

    assert np.isnan(found.close).all()
    assert found.volatilities.shape == (3, 2)
