"""Forms of venues, terminals and pandas, with the same bars: read alike, or refused with the true cause."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.reader import read_file
from regime_pipeline.sources.files.table import BadFileError

MARKET: Final = Market("BTC-USDT", "1h")
COUNT: Final = 40
_RNG: Final = np.random.default_rng(3)
CLOSE: Final = np.round(42_000 * np.exp(np.cumsum(_RNG.normal(0, 0.004, COUNT))), 2)
OPEN: Final = np.round(np.concatenate([[42_000.0], CLOSE[:-1]]), 2)
HIGH: Final = np.round(np.maximum(OPEN, CLOSE) * 1.003, 2)
LOW: Final = np.round(np.minimum(OPEN, CLOSE) * 0.997, 2)
VOLUME: Final = np.round(_RNG.gamma(2, 50, COUNT), 4)
TIMES: Final = pd.date_range("2024-01-01", periods=COUNT, freq="h")
MS: Final = [int(moment.timestamp() * 1000) for moment in TIMES]
ROWS: Final = list(zip(MS, *(c.tolist() for c in (OPEN, HIGH, LOW, CLOSE, VOLUME)), strict=True))
PRICES: Final = {"open": OPEN.tolist(), "high": HIGH.tolist(), "low": LOW.tolist(), "close": CLOSE.tolist()}


def at(ms: int, form: str) -> str:
    return pd.Timestamp(ms, unit="ms").strftime(form)


def lines(row: Callable[..., str], header: str = "") -> str:
    return header + "".join(row(*values) + "\n" for values in ROWS)


def records(record: Callable[..., Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [record(*values) for values in ROWS]


def by_row(name: str, values: list[Any]) -> dict[str, dict[str, Any]]:
    return {name: {str(row): value for row, value in enumerate(values)}}


def pandas_columns() -> dict[str, Any]:
    columns = {"time": MS, **PRICES, "volume": VOLUME.tolist()}
    return {key: inner for name, values in columns.items() for key, inner in by_row(name, values).items()}


DOCUMENTS: Final[dict[str, Any]] = {
    "pandas to_json": pandas_columns(),
    "pandas to_json(orient='index')": {
        str(ms): {"open": o, "high": h, "low": low, "close": c, "volume": v} for ms, o, h, low, c, v in ROWS
    },
    "Alpha Vantage": {
        "Meta Data": {"1. Information": "Crypto Intraday (60min) Time Series", "9. Time Zone": "UTC"},
        "Time Series Crypto (60min)": {
            at(ms, "%Y-%m-%dT%H:%M:%SZ"): {"1. open": o, "2. high": h, "3. low": low, "4. close": c, "5. volume": v}
            for ms, o, h, low, c, v in ROWS[::-1]
        },
    },
    "Tiingo": [
        {
            "ticker": "btcusdt",
            "priceData": records(
                lambda ms, o, h, low, c, v: {
                    "date": at(ms, "%Y-%m-%dT%H:%M:%S+00:00"),
                    "open": o,
                    "high": h,
                    "low": low,
                    "close": c,
                    "volume": v,
                    "volumeNotional": v * c,
                }
            ),
        }
    ],
    "Hyperliquid": records(
        lambda ms, o, h, low, c, v: {
            "t": ms,
            "T": ms + 3_599_999,
            "s": "BTCUSDT",
            "i": "1h",
            "o": str(o),
            "c": str(c),
            "h": str(h),
            "l": str(low),
            "v": str(v),
            "n": 12,
        }
    ),
    "Binance stream": records(
        lambda ms, o, h, low, c, v: {
            "t": ms,
            "T": ms + 3_599_999,
            "s": "BTCUSDT",
            "i": "1h",
            "f": 1,
            "L": 2,
            "o": o,
            "c": c,
            "h": h,
            "l": low,
            "v": v,
            "n": 12,
            "x": True,
            "q": v * c,
            "V": v / 2,
            "Q": v * c / 2,
            "B": "0",
        }
    ),
    "Deribit": {"result": {"ticks": MS, **PRICES, "volume": VOLUME.tolist(), "cost": (VOLUME * CLOSE).tolist()}},
    "Yahoo": {
        "chart": {
            "result": [
                {
                    "meta": {"currency": "USDT", "symbol": "BTC-USDT"},
                    "timestamp": [ms // 1000 for ms in MS],
                    "indicators": {"quote": [{**PRICES, "volume": VOLUME.tolist()}]},
                }
            ],
            "error": None,
        }
    },
    "Upbit": records(
        lambda ms, o, h, low, c, v: {
            "market": "BTC-USDT",
            "candle_date_time_utc": at(ms, "%Y-%m-%dT%H:%M:%S"),
            "opening_price": o,
            "high_price": h,
            "low_price": low,
            "trade_price": c,
            "timestamp": ms + 3_512_345,
            "candle_acc_trade_price": v * c,
            "candle_acc_trade_volume": v,
        }
    ),
    "Coinbase": {
        "candles": records(
            lambda ms, o, h, low, c, v: {
                "start": str(ms // 1000),
                "open": str(o),
                "high": str(h),
                "low": str(low),
                "close": str(c),
                "volume": str(v),
            }
        ),
        "granularity": "ONE_HOUR",
    },
}

TEXTS: Final[dict[str, tuple[str, ReadOptions]]] = {
    "MetaStock": (
        lines(
            lambda ms, o, h, low, c, v: f"BTCUSDT,60,{at(ms, '%Y%m%d')},{at(ms, '%H%M%S')},{o},{h},{low},{c},{v},0",
            "<TICKER>,<PER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n",
        ),
        ReadOptions(timezone="UTC"),
    ),
    "CoinMarketCap": (
        lines(
            lambda ms, o, h, low, c, v: ";".join(
                map(str, (at(ms, "%Y-%m-%dT%H:%M:%S.000Z"), at(ms, "%Y-%m-%dT%H:59:59.999Z"), o, h, low, c, v, 1))
            ),
            "timeOpen;timestamp;open;high;low;close;volume;marketCap\n",
        ),
        ReadOptions(),
    ),
    "spaces": (lines(lambda *row: "  ".join(map(str, row))), ReadOptions()),
    "French": (
        lines(
            lambda ms, *row: ";".join([at(ms, "%d/%m/%Y %H:%M"), *(str(value).replace(".", ",") for value in row)]),
            "Date;Ouverture;Plus haut;Plus bas;Clôture;Volume\n",
        ),
        ReadOptions(timezone="UTC", dates="dmy", decimal=","),
    ),
    "Italian": (
        lines(
            lambda ms, o, h, low, c, v: f"{at(ms, '%d.%m.%Y %H:%M')},{c},{o},{h},{low},{v}",
            "Data,Ultimo,Apertura,Massimo,Minimo,Vol.\n",
        ),
        ReadOptions(timezone="UTC"),
    ),
    "finanzen.net": (
        lines(
            lambda ms, o, h, low, c, v: f"{at(ms, '%d.%m.%Y %H:%M')};{c};{o};{h};{low};{v}",
            "Datum;Schlusskurs;Eröffnung;Tageshoch;Tagestief;Volumen\n",
        ),
        ReadOptions(timezone="UTC"),
    ),
    "closes 1 ms before the next open": (
        lines(lambda ms, *row: ",".join(map(str, (ms + 3_599_999, *row))), "time,open,high,low,close,volume\n"),
        ReadOptions(stamps="close"),
    ),
    "tick volume by request": (
        lines(
            lambda ms, o, h, low, c, v: f"{at(ms, '%Y.%m.%d')}\t{at(ms, '%H:%M:%S')}\t{o}\t{h}\t{low}\t{c}\t{v}\t0\t5",
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n",
        ),
        ReadOptions(timezone="UTC", volume="tickvol"),
    ),
}


def assert_the_bars(path: Path, options: ReadOptions) -> None:
    (rows,) = read_file(path, MARKET, options)
    assert rows.open_time_ms.tolist() == MS
    np.testing.assert_allclose(rows.values, [OPEN, HIGH, LOW, CLOSE, VOLUME], rtol=1e-12)


@pytest.mark.parametrize("venue", DOCUMENTS)
def test_a_reply_of_a_venue_is_read(venue: str, tmp_path: Path) -> None:
    path = tmp_path / "reply.json"
    path.write_text(json.dumps(DOCUMENTS[venue]))
    assert_the_bars(path, ReadOptions())


@pytest.mark.parametrize("form", TEXTS)
def test_a_text_of_a_terminal_is_read(form: str, tmp_path: Path) -> None:
    text, options = TEXTS[form]
    path = tmp_path / "export.txt"
    path.write_text(text)
    assert_the_bars(path, options)


HEADER: Final = "interval,time,open,high,low,close,volume\n"


@pytest.mark.parametrize(
    ("stated", "holds"),
    [("4h", "4h"), ("1HOUR", ""), ("ONE_HOUR", ""), ("1m", "1m"), ("PT15M", "PT15M"), ("1M", ""), ("FIVE_MINUTE", "")],
)
def test_a_timeframe_in_the_cells_is_the_markets_or_refused(stated: str, holds: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(lines(lambda *row: ",".join(map(str, (stated, *row))), HEADER))
    holds = stated if stated == "FIVE_MINUTE" else holds
    if not holds:
        assert_the_bars(path, ReadOptions())
        return
    with pytest.raises(BadFileError, match=f"holds {holds} bars by what it says, not 1h"):
        read_file(path, MARKET, ReadOptions())


PLAIN: Final = lines(lambda *row: ",".join(map(str, row)), "time,open,high,low,close,volume\n")


OTHERS: Final[list[tuple[str, bytes, str]]] = [
    ("a.csv", gzip.compress(PLAIN.encode()), r"is a \.gz file by its content\. Rename it to a\.csv\.gz"),
    ("a.csv", b"PAR1....", r"is a \.parquet file by its content\. Rename it to a\.parquet"),
    ("a.csv", b"\n<!DOCTYPE html><html>404</html>", "is a web page, not a table"),
    ("a.json", b'{"code": -1121, "msg": "Invalid symbol."}', r"no candles but a message: Invalid symbol\. Fetch"),
    ("a.json", b'{"code": "0", "data": []}', "contains no list of rows"),
    ("a.json", json.dumps({"timestamp": MS[1:], "quote": [PRICES | {"volume": MS}]}).encode(), "no column for time"),
    ("a.csv", TEXTS["closes 1 ms before the next open"][0].encode(), "time is the end of a 1h bar.*--stamps close"),
    ("a.csv", TEXTS["tick volume by request"][0].encode(), r"<VOL> is 0 in every row.*Say --volume tickvol"),
    (
        "a.csv",
        b"time,bid_open,ask_open\n1704067200000,1,2\n1704070800000,1,2\n",
        "column for open among time, bid_open",
    ),
    ("a.json", json.dumps({"rows": DOCUMENTS["Coinbase"]["candles"], "interval": "4h"}).encode(), "holds 4h bars by"),
]


@pytest.mark.parametrize(("name", "content", "says"), OTHERS)
def test_the_true_cause_is_named(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadFileError, match=says):
        read_file(path, MARKET, ReadOptions(timezone="UTC"))
