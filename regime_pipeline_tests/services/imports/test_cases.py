"""Candle files in the forms that exchanges, terminals, data sets and spreadsheets write, each read or refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.imports.plan import ImportPlan, read_files
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.table import BadFileError

NOW = to_ms("2026-01-01T00:00:00Z")
FIRST = {"open": 42000.0, "high": 42482.5, "low": 41888.12, "close": 42344.28, "volume": 275.1396}
UTC = {"timezone": "UTC"}
LAST_VOLUME = ("time", "open", "high", "low", "close", "other", "volume")
DROP = {"is_dropping_unaligned": True}
TO_MINUTES = "--market BTC-USDT_1m --resample 1h"
TO_LAST = "--columns time,open,high,low,close,other,volume"


def read(path: Path, market: str = "BTC-USDT_1h", **options: Any) -> ImportPlan:
    return read_files([path], Market.parse(market), ReadOptions(**options), NOW)


@pytest.mark.parametrize(
    ("name", "market", "options"),
    [
        *((name, "BTC-USDT_1h", {}) for name in (
            *("plain_good.csv", "BTC_USDT-1h.feather", "UPPER.ZIP", "bitstamp_like_BTC_8dec.csv", "blank_last_row.csv"),
            *("bybit_v5.json", "cdd_banner_newest.csv", "close_before_open_header.csv", "coinbase_advanced.json"),
            *("comment_lines.csv", "cryptoarchive_pipe.csv", "cryptocompare.json", "gemini_newest.json"),
            *("kraken_header_ts_vwap.csv", "pandas_index_unnamed.csv", "plain.csv.bz2", "plain.csv.xz"),
            *("poloniex.json", "rows.jsonl", "scattered_dups.csv", "sep_line.csv", "tz_index_unnamed.parquet"),
            *("utc_suffix.csv", "utf16.csv", "with_readme.zip", "half_open.csv"),
        )),
        *((name, "BTC-USDT_1h", UTC) for name in (
            *("date_time_columns.csv", "mt4.csv", "slash_dates.csv", "excel_serial.csv"),
        )),
        ("yyyymmdd_1d.csv", "BTC-USDT_1d", UTC),
        ("decimal_comma.csv", "BTC-USDT_1h", {"decimal": ","}),
        ("german_excel.csv", "BTC-USDT_1h", {"decimal": ",", "timezone": "UTC"}),
        ("binance_cm_BTCUSD_PERP-1h-2024-01.csv", "BTC-USD-PERP_1h", {"volume": "quote_volume"}),
        ("bitmex_bucketed.csv", "BTC-USD_1h", {"stamps": "close"}),
        ("kraken_rest.json", "BTC-USD_1h", {}),
        ("yfinance_multi.csv", "BTC-USD_1h", {}),
        ("dup_header_volume.csv", "BTC-USDT_1h", {"columns": LAST_VOLUME}),
    ],
)  # fmt: skip
def test_read_rightly(name: str, market: str, options: dict[str, Any], case_files: Path) -> None:
    plan = read(case_files / name, market, **options)
    assert (len(plan.candles), plan.candles.price_scale, plan.gaps) == (200, 100, ())
    assert plan.files[0].first_bar == {"open_time": "2024-01-01T00:00:00Z", **FIRST}
    second = plan.candles[1:2]
    assert (second.prices("close")[0], second.volume[0]) == (41913.61, 71.0809)


@pytest.mark.parametrize("name", ["coingecko_ohlc.json", "tradingview_no_volume.csv"])
def test_without_volume(name: str, case_files: Path) -> None:
    with pytest.raises(BadFileError, match="--volume none"):
        read(case_files / name)
    plan = read(case_files / name, volume="none")
    assert plan.files[0].first_bar == {"open_time": "2024-01-01T00:00:00Z", **FIRST, "volume": 0.0}


@pytest.mark.parametrize(
    ("name", "market", "options", "reason", "todo"),
    [
        ("minutes_as_1h.csv", "BTC-USDT_1h", DROP, "1m apart", TO_MINUTES),
        ("close_before_open_header.csv", "BTC-USDT_1h", {"columns": ("time", "open", "high", "low", "close", "volume")},
         "--columns says open where the header says close", "Leave --columns out"),
        ("kraken_header_ts_vwap.csv", "BTC-USDT_1h", {"columns": ("time", "open", "high", "low", "close", "volume")},
         "has 8 columns, --columns names 6", "Leave --columns out"),
        ("dup_header_volume.csv", "BTC-USDT_1h", {}, "names volume twice", TO_LAST),
        ("euro_thousands.csv", "BTC-USDT_1h", {}, "exactly three decimals", "--decimal ,"),
        ("pepe_usdt.csv", "PEPE-USDT_1h", {"price_scale": 1_000_000}, "finer than a tick", "--price-scale 10000000000"),
        ("binance_cm_BTCUSD_PERP-1h-2024-01.csv", "BTC-USDT_1h", {}, "by its name", "--market BTC-USD-PERP_1h"),
        ("binance_cm_BTCUSD_PERP-1h-2024-01.csv", "BTC-USD-PERP_1h", {}, "contracts", "--volume quote_volume"),
        ("bitmex_bucketed.csv", "BTC-USD_1h", {}, "stamps a bar with its close", "--stamps close"),
        ("BTC_USDT-1h.feather", "ETH-USDT_1h", {}, "BTC-USDT 1h by its name", "--market BTC-USDT_1h"),
        ("one_bad_time_at_150.csv", "BTC-USDT_1h", {}, "line 150: 'n/a' is not a time", "remove the row"),
        ("investing_com.csv", "BTC-USDT_1d", {}, "has no offset", "--timezone UTC"),
        ("decimal_comma.csv", "BTC-USDT_1h", {}, "decimal comma", "--decimal ,"),
        ("excel_sci.csv", "BTC-USDT_1h", {}, "rounded by a spreadsheet", "without decimals"),
        ("plain.tar.gz", "BTC-USDT_1h", {}, "not read", "tar xf"),
        ("candles.sqlite", "BTC-USDT_1h", {}, "not read", "sqlite3 -header -csv"),
        ("kaggle_bitstamp.csv", "BTC-USDT_1h", {}, "1m apart", "--market BTC-USDT_1m --resample 1h"),
    ],
)  # fmt: skip
def test_refused_with_the_true_cause(
    name: str, market: str, options: dict[str, Any], reason: str, todo: str, case_files: Path
) -> None:
    with pytest.raises(RegimeError) as refusal:
        read(case_files / name, market, **options)
    assert reason in refusal.value.what
    assert todo in refusal.value.todo
    assert name in refusal.value.what


@pytest.mark.parametrize(
    ("name", "market", "scale"),
    [
        ("btc_float32_1100h.parquet", "BTC-USDT_1h", 100),
        ("btc_float32_last50h.parquet", "BTC-USDT_1h", 100),
        ("float_noise.csv", "BTC-USDT_1h", 100),
        ("pepe_usdt.csv", "PEPE-USDT_1h", 10**10),
        ("pepe_float32.csv", "PEPE-USDT_1h", 10**13),
        ("pepe_btc_1e-11.csv", "PEPE-BTC_1h", 10**13),
    ],
)
def test_scales(name: str, market: str, scale: int, case_files: Path) -> None:
    assert read(case_files / name, market).candles.price_scale == scale


def test_daily_prices_with_thousands_and_suffixes(case_files: Path) -> None:
    plan = read(case_files / "investing_com.csv", "BTC-USDT_1d", timezone="UTC")
    bar = {"open": 42000.0, "high": 42482.5, "low": 41888.1, "close": 42344.3, "volume": 47630.0}
    assert plan.files[0].first_bar == {"open_time": "2024-01-01T00:00:00Z", **bar}
    assert plan.files[0].is_turned


def test_rows_without_a_price_are_absent_bars(case_files: Path) -> None:
    plan = read(case_files / "kaggle_bitstamp.csv", "BTC-USDT_1m")
    assert (len(plan.candles), plan.files[0].dropped) == (171, {"without a price": 29})


def test_the_last_bar_of_a_file_written_before_it_closed_is_left_out(case_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "half_open.csv"
    shutil.copyfile(case_files / "half_open.csv", path)
    opened = to_ms("2024-01-09T07:00:00Z") / 1000
    os.utime(path, (opened + 1_200, opened + 1_200))
    plan = read(path)
    assert (len(plan.candles), plan.files[0].dropped) == (199, {"unfinished": 1})
    os.utime(path, (opened + 3_600, opened + 3_600))
    assert len(read(path).candles) == 200


def test_local_time_is_warned_of(case_files: Path) -> None:
    (note,) = read(case_files / "berlin_naive_dst.csv", timezone="UTC").files[0].notes
    assert "2024-03-31T02:00:00Z is absent" in note
    assert "looks like local time" in note


def test_an_archive_says_what_it_passes_over_and_members_can_be_chosen(case_files: Path) -> None:
    archive = case_files / "with_readme.zip"
    assert read(archive).files[0].notes == ("members passed over: README.txt",)
    assert len(read(Path(f"{archive}:data.csv")).candles) == 200
    with pytest.raises(BadFileError, match=r"holds no nothing\.csv\. It holds README\.txt, data\.csv"):
        read(Path(f"{archive}:nothing.csv"))
