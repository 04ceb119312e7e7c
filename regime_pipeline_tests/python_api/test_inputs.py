"""Tests of `python_api.inputs`: what is candles, and what each refusal says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import regime_pipeline as rp
from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.market_data.candles import COLUMNS as FIELDS
from regime_pipeline.domain.market_data.no_trade import fill_no_trade
from regime_pipeline.python_api.inputs import COLUMNS, candles_of, single_candle
from regime_pipeline_tests.python_api.factories import HOURLY, candles, frame_of

FOUND = candles(30)
FRAME = frame_of(FOUND)


def polars_frame(times: pl.Series) -> pl.DataFrame:
    columns = {name: FRAME[name].to_numpy() for name in FRAME.columns if name != "open_time"}
    return pl.DataFrame(columns).with_columns(times.alias("open_time"))


MS = pl.Series(FOUND.open_time_ms)
NAIVE_POLARS = MS.cast(pl.Datetime("ms"))
AWARE_POLARS = polars_frame(NAIVE_POLARS.dt.replace_time_zone("UTC"))
NAIVE = FRAME.assign(open_time=FRAME["open_time"].dt.tz_localize(None))
ARROW = pa.Table.from_pandas(FRAME, preserve_index=False)
VALUES = FRAME.iloc[:, 1:].to_numpy().tolist()
ROWS = [[time, *values] for time, values in zip(FOUND.open_time_ms.tolist(), VALUES, strict=True)]
TITLE = FRAME.rename(columns={"open_time": "Date", **{name: name.title() for name in COLUMNS[1:]}})
YFINANCE = TITLE.set_index("Date").assign(**{"Adj Close": 1.0})
YFINANCE.columns = pd.MultiIndex.from_product([YFINANCE.columns, ["BTC-USD"]], names=["Price", "Ticker"])
TWO_SYMBOLS = pd.concat([YFINANCE, YFINANCE.rename(columns={"BTC-USD": "ETH-USD"}, level=1)], axis=1)
UNALIGNED = pd.concat([FRAME, FRAME[-1:].assign(open_time=FRAME["open_time"].iloc[-1] + pd.Timedelta("14.8s"))])
FORMS = {
    "open_time": FRAME,
    "more columns": FRAME.assign(extra=1),
    "index": FRAME.set_index("open_time"),
    "index without a name": FRAME.set_index("open_time").rename_axis(None),
    "index of numbers": FRAME.assign(open_time=FOUND.open_time_ms).set_index("open_time").rename_axis("timestamp"),
    "another zone": FRAME.assign(open_time=FRAME["open_time"].dt.tz_convert("Asia/Tokyo")),
    "nanoseconds": FRAME.assign(open_time=FRAME["open_time"].astype("datetime64[ns, UTC]")),
    "epoch ms": FRAME.assign(open_time=FOUND.open_time_ms),
    "epoch s": FRAME.assign(open_time=FOUND.open_time_ms // 1000),
    "epoch s as floats": FRAME.assign(open_time=FOUND.open_time_ms / 1000),
    "epoch us": FRAME.assign(open_time=FOUND.open_time_ms * 1_000),
    "epoch ns": FRAME.assign(open_time=FOUND.open_time_ms * 1_000_000),
    "texts": FRAME.assign(open_time=[moment.isoformat() for moment in FRAME["open_time"]]),
    "objects": FRAME.assign(open_time=FRAME["open_time"].astype(object)),
    "prices as texts": FRAME.assign(close=FRAME["close"].astype(str)),
    "pyarrow types": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "nullable types": FRAME.convert_dtypes(),
    "freqtrade": FRAME.rename(columns={"open_time": "date"}),
    "title case": TITLE,
    "single letters": FRAME.rename(columns={"open_time": "t", **{name: name[0] for name in COLUMNS[1:]}}),
    "yfinance": YFINANCE,
    "yfinance by ticker": YFINANCE.swaplevel(axis=1),
    "polars": AWARE_POLARS,
    "polars us": AWARE_POLARS.with_columns(pl.col("open_time").cast(pl.Datetime("us", "UTC"))),
    "polars ms": polars_frame(MS),
    "arrow": ARROW,
    "arrow batch": ARROW.to_batches()[0],
    "ccxt": ROWS,
    "tuples": list(map(tuple, ROWS)),
    "array": np.array(ROWS),
    "array of objects": np.array(ROWS, dtype=object),
    "binance": [[row[0], *map(str, row[1:]), row[0] + 3_599_999, "0", 1, "0", "0", "0"] for row in ROWS],
    "records": FRAME.to_dict("records"),
    "columns by name": FRAME.to_dict("list"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_every_form_of_the_same_candles_is_the_same_candles(form: Any) -> None:
    found = candles_of(form, None, "CANDLES-USDT", FOUND.price_scale)

    assert found.market == HOURLY
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(FOUND, name))
    pd.testing.assert_frame_equal(rp.read(form), rp.read(FRAME))


def test_reading_gives_the_six_columns_and_reads_them_again_the_same() -> None:
    frame = rp.read(FRAME.assign(extra=1).iloc[::-1])

    assert list(frame) == list(COLUMNS)
    assert [str(dtype) for dtype in frame.dtypes] == ["datetime64[ms, UTC]", *["float64"] * 5]
    assert frame["open_time"].tolist() == FRAME["open_time"][::-1].tolist()
    pd.testing.assert_frame_equal(rp.read(frame), frame)


@pytest.mark.parametrize(
    "naive", [NAIVE, NAIVE.astype({"open_time": str}), NAIVE.astype({"open_time": object}), polars_frame(NAIVE_POLARS)]
)
def test_naive_times_are_utc_only_where_the_user_says_so(naive: Any) -> None:
    pd.testing.assert_frame_equal(rp.read(naive, timezone="UTC"), rp.read(FRAME))
    with pytest.raises(rp.RegimeError, match=r"are naive: .* has no offset. If they are UTC, say so"):
        rp.read(naive)
    with pytest.raises(rp.RegimeError, match="cannot be read as 'Europe/Berlin'"):
        rp.read(naive, timezone="Europe/Berlin")


def test_candles_off_the_grid_are_left_out_on_request() -> None:
    pd.testing.assert_frame_equal(rp.read(UNALIGNED, drop_unaligned=True), rp.read(FRAME))
    with pytest.raises(rp.RegimeError, match=r"\(row 30\): .*not a multiple of 1h. Leave such candles out"):
        rp.read(UNALIGNED)


def test_time_without_a_trade_is_filled_on_request() -> None:
    """As the pipeline fills it, and only between the first candle and the last."""
    holed = FRAME.drop(index=[0, 7, 8, 20])
    sound = candles_of(holed, "1h", "ALFA-USDT", 10**8)
    span = (int(sound.open_time_ms[0]), int(sound.close_time_ms[-1]))
    expected = fill_no_trade(sound, (span,))
    found = candles_of(rp.read(holed, absent_bars="no_trade"), "1h", "ALFA-USDT", 10**8)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert len(found) == len(FRAME) - 1
    with pytest.raises(rp.RegimeError, match=r"\(row 1\) is not after the one before it"):
        rp.read(FRAME[::-1], absent_bars="no_trade")


def test_an_arrow_table_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(rp.RegimeError, match=r"pip install 'regime-pipeline\[parquet\]'"):
        rp.read(ARROW)


def changed(row: int, name: str, value: Any) -> pd.DataFrame:
    frame = FRAME.copy()
    frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (None, "must be a DataFrame, not NoneType"),
        ("btc.csv", "must be a DataFrame, not str"),
        (AWARE_POLARS.lazy(), "must be a DataFrame, not LazyFrame"),
        ([1, 2], "cannot be read"),
        ([[1, 2], [1]], "Row 1 has 1 values. Rows are [open time in ms,"),
        ([ROWS[0], ROWS[1][:4]], "Row 1 has 4 values"),
        ([], "No timeframe fits fewer than two candles"),
        ({"open": [1], "high": [1, 2]}, "cannot be read"),
        (FRAME.drop(columns=["volume", "low"]), "no column low, volume (found: open_time, open, high, close)"),
        (FRAME.rename(columns={"volume": "v"}), "no column volume"),
        (FRAME.assign(Close=1.0), "several columns close"),
        (TWO_SYMBOLS, "holds several symbols: BTC-USD, ETH-USD. Choose one: frame.xs('BTC-USD', axis=1, level=1)"),
        (FRAME.assign(open_time=FOUND.open_time_ms / 2), "not epoch numbers between 2000 and 2100"),
        (FRAME.assign(open_time="yesterday"), "'yesterday' is not a time"),
        (FRAME.assign(open_time=FRAME["open_time"].where(FRAME.index != 3)), "The time of row 3 is absent"),
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
        candles_of(frame, None, "CANDLES-USDT", FOUND.price_scale)
    assert says in str(refused.value)


def test_an_unknown_timeframe_is_refused() -> None:
    with pytest.raises(RegimeError, match="'7h' is not a timeframe"):
        rp.read(FRAME, "7h")


@pytest.mark.parametrize(
    "as_time",
    [int, lambda ms: pd.Timestamp(ms, unit="ms", tz="UTC"), lambda ms: f"{pd.Timestamp(ms, unit='ms')}+00:00"],
)
def test_one_candle_is_read_from_any_form_of_time(as_time: Callable[[int], Any]) -> None:
    row = {**FRAME.iloc[3].to_dict(), "open_time": as_time(int(FOUND.open_time_ms[3]))}

    found = single_candle(row, HOURLY, FOUND.price_scale)

    assert [getattr(found, name)[0] for name in FIELDS] == [getattr(FOUND, name)[3] for name in FIELDS]


@pytest.mark.parametrize("form", [ROWS[3], tuple(ROWS[3]), np.array(ROWS[3]), TITLE.iloc[3]])
def test_one_candle_is_read_from_a_row_too(form: Any) -> None:
    found = single_candle(form, HOURLY, FOUND.price_scale)

    assert [getattr(found, name)[0] for name in FIELDS] == [getattr(FOUND, name)[3] for name in FIELDS]


@pytest.mark.parametrize("form", [ROWS[3][:4], 5, None, "a row", {}])
def test_what_is_not_one_candle_is_refused(form: Any) -> None:
    with pytest.raises(rp.RegimeError, match="cannot be read. It needs open_time"):
        single_candle(form, HOURLY, FOUND.price_scale)


def test_a_candle_that_lacks_a_name_is_refused() -> None:
    with pytest.raises(RegimeError, match="no column high, volume"):
        single_candle({"open_time": 1, "open": 1, "low": 1, "close": 1}, HOURLY, 100)


def test_a_candle_finer_than_a_tick_is_refused() -> None:
    with pytest.raises(RegimeError, match=r"\(row 0\): open .* is finer than a tick. Raise price_scale \(now 10\)"):
        single_candle(FRAME.iloc[3], HOURLY, 10)
    with pytest.raises(RegimeError, match=r"\(row 1\): open .* is finer than a tick"):
        candles_of(FRAME, None, "CANDLES-USDT", 10)


@pytest.mark.parametrize("price_scale", [0, -100, 1.5, "100", None])
def test_a_price_scale_that_is_not_a_positive_whole_number_is_refused(price_scale: Any) -> None:
    with pytest.raises(rp.RegimeError, match="A price scale of .* is not possible"):
        rp.classify_candles(FRAME, price_scale=price_scale)
