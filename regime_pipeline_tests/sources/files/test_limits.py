"""Limits of candle files: what is too large is refused while it is unpacked, what means nothing when it is read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files import columnar
from regime_pipeline.sources.files.layouts import FIELDS, ReadOptions
from regime_pipeline.sources.files.reader import read_file
from regime_pipeline.sources.files.table import BadFileError

MARKET = Market("ETH-USDT", "1m")
AUTO = ReadOptions()
Write = Callable[[str, str | bytes], Path]


def packed(rows: int, *, is_parquet: bool) -> bytes:
    """Rows that all say the same, which pack to almost nothing."""
    table = pa.table({field: np.full(rows, 60_000.0) for field in FIELDS})
    sink = io.BytesIO()
    if is_parquet:
        parquet.write_table(table, sink)
    else:
        feather.write_feather(table, sink, compression="zstd", chunksize=10_000)
    return sink.getvalue()


@pytest.mark.parametrize("name", ["a.parquet", "a.feather"])
def test_packed_rows_stop_at_the_limits(write: Write, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(100_000, is_parquet=name == "a.parquet")
    assert len(data) < 40_000
    with monkeypatch.context() as patch:
        patch.setattr(columnar, "MAX_ROWS", 20_000)
        with pytest.raises(BadFileError, match=r"rows and .* bytes unpacked\. Split it"):
            read_file(write(name, data), MARKET, AUTO)
    monkeypatch.setattr(columnar, "MAX_BYTES", 1_000)
    with pytest.raises(BadFileError, match=r"rows and .* bytes unpacked\. Split it"):
        read_file(write(name, data), MARKET, AUTO)


def test_fewer_columns_than_named_are_refused(write: Write) -> None:
    options = ReadOptions(columns=("a", "b", *FIELDS))
    with pytest.raises(BadFileError, match="has 6 columns, --columns names 8"):
        read_file(write("a.parquet", packed(3, is_parquet=True)), MARKET, options)


def test_rows_shorter_than_the_header_are_refused(write: Write) -> None:
    """It used to end in an IndexError."""
    path = write("a.csv", "time,open,high,low,close,trades,volume\n60000,10,12,9,11,5\n")
    with pytest.raises(BadFileError, match="its header names 7 columns, its rows have 6"):
        read_file(path, MARKET, AUTO)


@pytest.mark.parametrize("checksum", [b"\xff\xfe", b"", b"0" * 10_000_000])
def test_any_checksum_file_is_compared(write: Write, checksum: bytes) -> None:
    path = write("a.csv", "60000,10,12,9,11,5\n")
    write("a.csv.CHECKSUM", checksum)
    with pytest.raises(BadFileError, match=r"does not match a\.csv\.CHECKSUM"):
        read_file(path, MARKET, AUTO)


@pytest.mark.parametrize(
    "moment",
    [
        *(-1, -(2**63), -(2**62), -62_135_596_800_000, 5 * 10**12),
        *("1969-12-31T23:59:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:00-23:59"),
    ],
)
def test_times_that_mean_no_bar_are_refused(write: Write, moment: int | str) -> None:
    """-2**63 used to wrap around to 1970, others to end in a ValueError."""
    row = write("a.json", json.dumps([[moment, 10, 12, 9, 11, 5]]))
    with pytest.raises(BadFileError, match="is not between 1970 and 2100"):
        read_file(row, MARKET, AUTO)


def test_a_price_beyond_every_tick_is_refused() -> None:
    """It used to be cast to the least integer, with a warning."""
    price = np.array([1e300])
    with pytest.raises(BadCandlesError, match="a price is too large for its scale"):
        Candles.from_prices(MARKET, 100, np.array([0]), [price] * 4, np.array([1.0]))
