"""Tests of `python_api.hold`: a frame in, a probability or a band out."""

from __future__ import annotations

import pytest

import regime_pipeline as rp
from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.market_data.resample import resample_complete
from regime_pipeline_tests.python_api.factories import candles, frame_of


def test_the_band_of_a_probability_holds_with_it() -> None:
    frame = frame_of(candles(900))

    band = rp.band_for(frame, 0.8, hours=72)

    assert isinstance(band, rp.Band)
    assert band.lower < frame["close"].iloc[-1] < band.upper
    assert rp.hold_probability(frame, *band, hours=72) == pytest.approx(0.8, abs=1e-9)
    assert rp.hold_probability(frame, *band, hours=24) > 0.85
    assert band == rp.band_for(frame)


def test_a_frame_of_quarters_says_what_its_hours_say() -> None:
    quarters = candles(4 * 400, "15m")
    close = float(quarters.prices("close")[-1])
    bounds = (close * 0.97, close * 1.03)

    found = rp.hold_probability(frame_of(quarters), *bounds, timeframe="15m")

    assert found == rp.hold_probability(frame_of(resample_complete(quarters, "1h")), *bounds)
    assert found == rp.hold_probability(frame_of(quarters), *bounds, timeframe=None)


def test_four_hour_candles_are_answered_and_daily_ones_refused() -> None:
    assert rp.band_for(frame_of(candles(300, "4h")), timeframe="4h").lower > 0
    with pytest.raises(rp.RegimeError, match="no hold probability on 1d"):
        rp.band_for(frame_of(candles(800, "1d")), timeframe="1d")


def test_a_model_of_ones_own_counts() -> None:
    frame = frame_of(candles(900))
    nervous = HoldModel(1.0, 0.3, 0.4, 0.1, -0.7, 0.0)

    assert rp.band_for(frame, model=nervous).upper > rp.band_for(frame).upper


def test_too_few_candles_and_bad_questions_are_one_sentence() -> None:
    frame = frame_of(candles(400))

    with pytest.raises(rp.RegimeError, match="fewer than 300 hours"):
        rp.band_for(frame[:250])
    with pytest.raises(rp.RegimeError, match="not a band of prices"):
        rp.hold_probability(frame, 2.0, 1.0)
    with pytest.raises(rp.RegimeError, match="from 12 to 168"):
        rp.hold_probability(frame, 1.0, 2.0, hours=500)
    with pytest.raises(rp.RegimeError, match=r"from 0\.01 to 0\.99"):
        rp.band_for(frame, 80)
