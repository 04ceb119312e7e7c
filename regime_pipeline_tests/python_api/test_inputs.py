"""Tests of `python_api.inputs`: what is candles, and what each refusal says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.market_data.candles import COLUMNS
from regime_pipeline.python_api.inputs import candle_of_mapping, candles_of_frame
from regime_pipeline_tests.python_api.factories import HOURLY, candles, frame_of

FOUND = candles(30)
FRAME = frame_of(FOUND)


def read(frame: Any, timeframe: str | None = None, price_scale: int = FOUND.price_scale) -> Any:
    return candles_of_frame(frame, timeframe, "CANDLES-USDT", price_scale)


def polars_frame(times: pl.Series) -> pl.DataFrame:
    columns = {name: FRAME[name].to_numpy() for name in FRAME.columns if name != "open_time"}
    return pl.DataFrame(columns).with_columns(times.alias("open_time"))


MS = pl.Series(FOUND.open_time_ms)
NAIVE_POLARS = MS.cast(pl.Datetime("ms"))


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.assign(extra=1),
        FRAME.set_index("open_time"),
        FRAME.assign(open_time=FRAME["open_time"].dt.tz_convert("Asia/Tokyo")),
        FRAME.assign(open_time=FRAME["open_time"].astype("datetime64[ns, UTC]")),
        FRAME.assign(open_time=FOUND.open_time_ms),
        FRAME.assign(open_time=[moment.isoformat() for moment in FRAME["open_time"]]).astype({"open_time": object}),
        FRAME.assign(close=FRAME["close"].astype(str).astype(object)),
        polars_frame(NAIVE_POLARS.dt.replace_time_zone("UTC")),
        polars_frame(NAIVE_POLARS.dt.replace_time_zone("UTC").cast(pl.Datetime("us", "UTC"))),
        polars_frame(MS),
    ],
)
def test_every_form_of_the_same_candles_is_the_same_candles(frame: Any) -> None:
    found = read(frame)

    assert found.market == HOURLY
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(FOUND, name))


def changed(row: int, name: str, value: Any) -> pd.DataFrame:
    frame = FRAME.copy()
    frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ([1, 2], "must be a DataFrame, not list"),
        (FRAME.drop(columns=["volume", "low"]), "no column low, volume (found: open_time, open, high, close)"),
        (FRAME.assign(open_time=FRAME["open_time"].dt.tz_localize(None)), "are naive. Use aware times"),
        (polars_frame(NAIVE_POLARS), "are naive. Use aware times"),
        (FRAME.assign(open_time=["2026-01-01T00:00:00"] * 30), "has no offset"),
        (FRAME.assign(open_time=FOUND.open_time_ms // 1000), "must be integer epoch milliseconds"),
        (FRAME.assign(open_time=FOUND.open_time_ms / 2), "must be integer epoch milliseconds"),
        (FRAME.iloc[::-1], "(row 1): not after the candle before it (unsorted or duplicate)"),
        (pd.concat([FRAME[:5], FRAME[4:]]), "(row 5): not after the candle before it (unsorted or duplicate)"),
        (changed(7, "high", np.nan), "(row 7): a price is not finite"),
        (changed(7, "close", np.inf), "(row 7): a price is not finite"),
        (changed(7, "low", -1.0), "(row 7): a price is zero or negative"),
        (changed(7, "high", 1e-2), "(row 7): high is below another price"),
        (changed(7, "volume", np.nan), "(row 7): volume is negative or not finite"),
        (FRAME.assign(close=["one"] * 30), "The column close is not numeric"),
        (FRAME[:1], "No timeframe fits fewer than two candles. Name it"),
        (FRAME.assign(open_time=FRAME["open_time"] - pd.to_timedelta(np.arange(30), "min")), "59 minutes apart"),
        (FRAME.assign(open_time=FRAME["open_time"] + pd.Timedelta("5min")), "not a multiple of 1h"),
    ],
)
def test_what_is_not_candles_is_refused_with_column_or_row(frame: Any, says: str) -> None:
    with pytest.raises(RegimeError) as refused:
        read(frame)
    assert says in str(refused.value)


def test_an_unknown_timeframe_is_refused() -> None:
    with pytest.raises(RegimeError, match="'7h' is not a timeframe"):
        read(FRAME, "7h")


@pytest.mark.parametrize(
    "as_time",
    [int, lambda ms: pd.Timestamp(ms, unit="ms", tz="UTC"), lambda ms: f"{pd.Timestamp(ms, unit='ms')}+00:00"],
)
def test_one_candle_is_read_from_any_form_of_time(as_time: Callable[[int], Any]) -> None:
    row = {**FRAME.iloc[3].to_dict(), "open_time": as_time(int(FOUND.open_time_ms[3]))}

    found = candle_of_mapping(row, HOURLY, FOUND.price_scale)

    assert [getattr(found, name)[0] for name in COLUMNS] == [getattr(FOUND, name)[3] for name in COLUMNS]


def test_a_candle_that_lacks_a_name_is_refused() -> None:
    with pytest.raises(RegimeError, match="The candle has no high, volume"):
        candle_of_mapping({"open_time": 1, "open": 1, "low": 1, "close": 1}, HOURLY, 100)


def test_a_candle_finer_than_a_tick_is_refused() -> None:
    with pytest.raises(RegimeError, match=r"\(row 0\): open .* is finer than a tick. Raise price_scale \(now 10\)"):
        candle_of_mapping(FRAME.iloc[3], HOURLY, 10)
    with pytest.raises(RegimeError, match=r"\(row 1\): open .* is finer than a tick"):
        read(FRAME, price_scale=10)
