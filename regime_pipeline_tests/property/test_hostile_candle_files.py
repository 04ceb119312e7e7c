"""Candle files: whatever the bytes, importing gives candles or a sentence, never another exception."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.imports.plan import read_files
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline_tests.property.hostile_inputs import VALUES, altered, damaged, fuzzed, read_or_refuse

MARKET = Market("ETH-USDT", "1m")
START = 1_709_251_200_000
NOW = START + 10**9
ROWS = [[START + 60_000 * at, 10.0, 25.5, 9.25, 11.0 + at, 100.5] for at in range(5)]
NAMES = ["open_time", "open", "high", "low", "close", "volume"]
PLAIN = "\n".join(",".join(map(str, row)) for row in ROWS).encode()
ISO = b"\n".join(f"2024-03-01T00:0{at}:00Z,10,12,9,11,5".encode() for at in range(5))
MT4 = b"\n".join(b"2024.03.01,00:0%d,10,12,9,11,5" % at for at in range(5))
BANNER = b"https://example.org\nUnix,Date,Symbol,Open,High,Low,Close,Volume ETH,Volume USDT\n" + b"\n".join(
    b"%d,2024-03-01 00:0%d:00,ETHUSDT,10,12,9,11,5,55" % (row[0], at) for at, row in reversed(list(enumerate(ROWS)))
)
NAIVE_TEXTS = (
    MT4,
    b"Date;Time;Open;High;Low;Close;Volume\n" + MT4.replace(b",", b";"),
    b"time,open,high,low,close,volume\n" + ISO.replace(b"-", b"/").replace(b"T", b" ").replace(b"Z", b""),
    b"Zeit;Er\xf6ffnung;Hoch;Tief;Schluss;Volumen\n"
    + b"\n".join(b"01.03.2024 00:0%d;10,5;12,5;9,5;11,5;5,5" % at for at in range(5)),
    b"date,open,high,low,close,volume\n" + b"\n".join(b"03/01/2024 12:0%d AM,10,12,9,11,5" % at for at in range(5)),
)
TEXTS = (
    PLAIN,
    BANNER,
    b"sep=;\n" + PLAIN.replace(b",", b";"),
    PLAIN.decode().encode("utf-16"),
    ",".join(NAMES).encode() + b"\r\n" + PLAIN,
    ISO,
    PLAIN.replace(b",", b";"),
)
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
KUCOIN = {"code": "200000", "data": [[str(row[at]) for at in (0, 1, 4, 2, 3, 5)] for row in reversed(ROWS)]}
BYBIT = {"retCode": 0, "result": {"symbol": "ETHUSDT", "list": [[*map(str, row), "9"] for row in reversed(ROWS)]}}
KRAKEN = {"error": [], "result": {"ETHUSDT": [[*row[:5], "11", *row[5:], 7] for row in ROWS], "last": 1}}
COINBASE = {"candles": [dict(zip(["start", *NAMES[1:]], row, strict=True)) for row in ROWS]}
COLUMNS = {"s": "ok", **{letter: [row[at] for row in ROWS] for at, letter in enumerate("tohlcv")}}
BY_COLUMN = {name: {str(at): row[place] for at, row in enumerate(ROWS)} for place, name in enumerate(NAMES)}
BY_TIME = {"Meta Data": {"1. Symbol": "ETH"}, "Series": {str(row[0]): {"1. open": 10.0, "2. high": 25.5, "3. low": 9.25,
           "4. close": row[4], "5. volume": 100.5} for row in ROWS}}  # fmt: skip
NESTED = [{"ticker": "ethusdt", "priceData": RECORDS}]
QUOTE = {name: [row[at] for row in ROWS] for at, name in enumerate(NAMES) if at}
YAHOO = {"chart": {"result": [{"meta": {"symbol": "ETH-USDT"}, "timestamp": [row[0] for row in ROWS],
         "indicators": {"quote": [QUOTE]}}]}}  # fmt: skip
STREAM = [{"t": row[0], "T": row[0] + 59_999, "s": "ETHUSDT", "i": "1m", "o": 10, "h": 26, "l": 9, "c": row[4], "v": 5}
          for row in ROWS]  # fmt: skip
VENUES = (BYBIT, KRAKEN, COINBASE, COLUMNS, KUCOIN, BY_COLUMN, BY_TIME, NESTED, YAHOO, STREAM)
DOCUMENTS = (*VENUES, ROWS, RECORDS, {"data": ROWS})


def columnar(kind: str, times: Any) -> bytes:
    frame = pd.DataFrame(ROWS, columns=NAMES).assign(open_time=times)
    sink = io.BytesIO()
    frame.to_parquet(sink) if kind == "parquet" else frame.to_feather(sink)
    return sink.getvalue()


MS = [row[0] for row in ROWS]
AWARE = pd.to_datetime(MS, unit="ms", utc=True)
PARQUETS = (columnar("parquet", MS), columnar("parquet", AWARE))
FEATHERS = (columnar("feather", MS), columnar("feather", AWARE))


def zipped(*contents: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"part{number}.csv", content)
    return sink.getvalue()


def load(folder: Path, name: str, data: bytes, options: ReadOptions) -> object:
    """Do what `regime import` does with a file before it writes anything."""
    return read_files([_written(folder, name, data)], MARKET, options, NOW)


def _written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


OPTIONS = st.sampled_from(
    [
        ReadOptions(),
        ReadOptions(layout="kucoin"),
        ReadOptions(timezone="UTC", is_dropping_unaligned=True),
        ReadOptions(timezone="UTC", decimal=",", dates="mdy"),
        ReadOptions(volume="none", stamps="close"),
        ReadOptions(columns=("time", "open", "high", "low", "close", "volume"), price_scale=100),
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("a.csv", TEXTS),
        ("a.jsonl", (b"\n".join(json.dumps(record).encode() for record in RECORDS),)),
        ("a.json", tuple(json.dumps(document).encode() for document in DOCUMENTS)),
        ("a.parquet", PARQUETS),
        ("a.feather", FEATHERS),
        ("a.csv.gz", (gzip.compress(PLAIN, mtime=0),)),
        ("a.zip", (zipped(PLAIN), zipped(PLAIN, PLAIN))),
    ],
)
def test_sound_files_are_read_and_damaged_ones_read_or_refused(
    folder: Path, name: str, sound: tuple[bytes, ...]
) -> None:
    for data in sound:
        assert len(read_files([_written(folder, name, data)], MARKET, ReadOptions(), NOW).candles) == len(ROWS)

    @fuzzed(60)
    @given(damaged(sound), OPTIONS)
    def try_damaged(data: bytes, options: ReadOptions) -> None:
        read_or_refuse(lambda: load(folder, name, data, options))

    try_damaged()


NAIVE = ReadOptions(timezone="UTC", decimal=",", dates="mdy")


def test_times_and_numbers_of_spreadsheets_are_read_and_damaged_ones_read_or_refused(folder: Path) -> None:
    for data in NAIVE_TEXTS:
        assert len(read_files([_written(folder, "s.csv", data)], MARKET, NAIVE, NOW).candles) == len(ROWS)

    @fuzzed(100)
    @given(damaged(NAIVE_TEXTS), st.just(NAIVE) | OPTIONS)
    def try_damaged(data: bytes, options: ReadOptions) -> None:
        read_or_refuse(lambda: load(folder, "s.csv", data, options))

    try_damaged()


@fuzzed(150)
@given(st.one_of([altered(document) for document in DOCUMENTS]) | VALUES, OPTIONS)
def test_any_json_is_read_or_refused(folder: Path, document: object, options: ReadOptions) -> None:
    read_or_refuse(lambda: load(folder, "a.json", json.dumps(document).encode(), options))
