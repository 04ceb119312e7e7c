"""Tests of `python_api.candles`: one row per candle, and the stream that says the same."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import regime_pipeline as rp
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.policy import default_policy
from regime_pipeline_tests.python_api.factories import candles, frame_of

FOUND = candles(600)
FRAME, SCALE = frame_of(FOUND), FOUND.price_scale
WHOLE = rp.classify_candles(FRAME, price_scale=SCALE)


def test_one_row_per_candle_with_the_documented_columns() -> None:
    expected = classify(FOUND, default_policy().candle_regime)

    assert list(WHOLE.columns) == [
        *("open_time", "known_at", "trend_state", "volatility_state", "momentum_state", "full_regime"),
        *("simplified_regime", "confidence", "status", "absent_bars"),
    ]
    assert (WHOLE["known_at"] - WHOLE["open_time"] == pd.Timedelta("1h")).all()
    assert WHOLE["open_time"].tolist() == FRAME["open_time"].tolist()
    assert WHOLE["full_regime"].tolist() == [REGIME_STATES[code].full_regime for code in expected.state]
    assert WHOLE["confidence"].tolist() == expected.confidence.tolist()
    assert all(isinstance(WHOLE[name].dtype, pd.CategoricalDtype) for name in WHOLE.columns[2:7])
    assert not WHOLE.isna().any().any()
    assert set(WHOLE["simplified_regime"][:199]) == {"UNDEFINED"}


def test_the_price_scale_changes_no_label() -> None:
    assert rp.classify_candles(FRAME)["full_regime"].tolist() == WHOLE["full_regime"].tolist()


def test_a_stream_says_the_same_candle_by_candle() -> None:
    stream = rp.StreamingClassifier("1h", price_scale=SCALE)
    warm = stream.warm_up(FRAME[:550])
    later = [stream.update(row) for row in FRAME[550:].to_dict("records")]

    pd.testing.assert_frame_equal(warm, WHOLE[:550])
    for name in WHOLE.columns:
        assert [getattr(regime, name) for regime in later] == WHOLE[name][550:].tolist()


def test_a_candle_twice_is_refused_and_the_stream_goes_on() -> None:
    stream = rp.StreamingClassifier("1h", price_scale=SCALE)
    stream.warm_up(FRAME[:300])

    with pytest.raises(rp.RegimeError, match="is not after .*, the newest one the stream knows"):
        stream.update(FRAME.iloc[299])
    assert stream.update(FRAME.iloc[300]).confidence == WHOLE["confidence"][300]


def test_real_candles_give_the_same_from_a_prefix(shared_data: Path) -> None:
    real = pd.read_json(shared_data / "freqtrade-format/binance-2017-2021__ETH_USDT-1h.json.gz").iloc[:1500]
    real.columns = pd.Index(["open_time", "open", "high", "low", "close", "volume"])
    real["open_time"] = real["open_time"].astype("datetime64[ms, UTC]")

    whole = rp.classify_candles(real)

    pd.testing.assert_frame_equal(rp.classify_candles(real[:1000]), whole[:1000])
    assert set(whole["simplified_regime"]) == {"UNDEFINED", "TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL"}
