"""Tests of `domain.hold.outlook`: one market's newest close, and questions that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.hold.outlook import HoldOutlook
from regime_pipeline.domain.hold.probability import hold_columns
from regime_pipeline.domain.hold.volatility import recent_volatility
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline_tests.domain.hold.factories import HOURLY, WORKED, simulated


@pytest.mark.parametrize(("timeframe", "bars"), [("5m", 5_000), ("1h", 900), ("4h", 300)])
def test_an_outlook_says_what_the_columns_say_of_its_hour(timeframe: str, bars: int) -> None:
    candles = simulated(bars, timeframe)
    found = HoldOutlook.of(candles, WORKED)
    hours = np.array([found.known_at_ms - HOUR_MS])
    lower, upper = np.array([found.close * 0.96]), np.array([found.close * 1.02])

    known = recent_volatility(candles, hours)
    column = hold_columns(known.close, lower, upper, known.volatilities, WORKED, candles.market, (48,))["hold_48h"]

    assert found.probability(float(lower[0]), float(upper[0]), 48) == column[0]
    assert (
        found.known_at_ms == candles.close_time_ms[-1] // candles.market.observation_ms * candles.market.observation_ms
    )
    assert found.probability(*found.band(0.7, 168), 168) == pytest.approx(0.7, abs=1e-9)


def test_bars_after_the_last_full_hour_change_nothing() -> None:
    candles = simulated(4 * 400 + 3, "15m")

    late, full = HoldOutlook.of(candles, WORKED), HoldOutlook.of(candles[:-3], WORKED)

    assert (late.close, late.known_at_ms) == (full.close, full.known_at_ms)
    assert late.volatilities.tolist() == full.volatilities.tolist()


def test_too_little_history_says_which_window_lacks_it() -> None:
    with pytest.raises(MissingDataError, match="ETH-USDT_1h has fewer than 300 hours with a return among the 720"):
        HoldOutlook.of(simulated(300), WORKED)
    with pytest.raises(MissingDataError, match="fewer than 20 hours"):
        HoldOutlook.of(simulated(5), WORKED)
    with pytest.raises(MissingDataError, match="no candle that closes on the hour"):
        HoldOutlook.of(Candles.empty(HOURLY, 100), WORKED)


def test_a_day_is_too_long_a_bar() -> None:
    with pytest.raises(UsageError, match="no hold probability on 1d"):
        HoldOutlook.of(simulated(800, "1d"), WORKED)


@pytest.mark.parametrize(
    ("lower", "upper", "hours", "says"),
    [
        (2.0, 1.0, 24, "is not a band of prices"),
        (1.0, 1.0, 24, "is not a band of prices"),
        (0.0, 1.0, 24, "is not a band of prices"),
        (1.0, np.inf, 24, "is not a band of prices"),
        (np.nan, 1.0, 24, "is not a band of prices"),
        (1.0, 2.0, 11, "whole number from 12 to 168"),
        (1.0, 2.0, 169, "whole number from 12 to 168"),
        (1.0, 2.0, 24.5, "whole number from 12 to 168"),
        (1.0, 2.0, True, "whole number from 12 to 168"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(lower: float, upper: float, hours: int, says: str) -> None:
    found = HoldOutlook.of(simulated(800), WORKED)

    with pytest.raises(UsageError, match=says):
        found.probability(lower, upper, hours)


@pytest.mark.parametrize("probability", [0.0, 0.009, 0.991, 1.0, np.nan])
def test_a_probability_out_of_bounds_is_refused(probability: float) -> None:
    with pytest.raises(UsageError, match=r"number from 0\.01 to 0\.99"):
        HoldOutlook.of(simulated(800), WORKED).band(probability, 24)
