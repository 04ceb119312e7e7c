"""Reading one candle file: CSV, JSON and Parquet in every layout, and every refusal."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.sources.files.checks import FileRows
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.reader import read_file
from regime_pipeline.sources.files.table import BadFileError

MARKET = Market("BTC-USDT", "1m")
AUTO = ReadOptions()
DAY = to_ms("2020-02-09T00:00:00Z")
HEADER = "date,open,high,low,close,volume"
Write = Callable[[str, str | bytes], Path]


def bars(count: int = 5, start_ms: int = DAY, step_ms: int = 60_000) -> list[list[float]]:
    return [[start_ms + i * step_ms, 100.25 + i, 101.5 + i, 99.75 + i, 100.5 + i, 1.5] for i in range(count)]


def csv(rows: list[list[float]] | list[list[object]], header: str = "") -> str:
    return "\n".join([*([header] if header else []), *(",".join(map(str, row)) for row in rows), ""])


def packed(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def one(path: Path, market: Market = MARKET, options: ReadOptions = AUTO) -> FileRows:
    (rows,) = read_file(path, market, options)
    return rows


def assert_is_bars(rows: FileRows, count: int = 5) -> None:
    expected = np.array(bars(count))
    assert rows.open_time_ms.tolist() == expected[:, 0].tolist()
    assert rows.values.T.tolist() == expected[:, 1:].tolist()
    assert rows.covered == ((DAY, DAY + count * 60_000),)


def archive_rows(unit: int = 1) -> list[list[object]]:
    return [[row[0] * unit, *row[1:], (row[0] + 59_999) * unit, row[5] * row[4], 2, 3, 4, 0] for row in bars()]


# Every form of the same five candles


@pytest.mark.parametrize(
    "content",
    [
        csv(bars()),
        csv(bars(), "open_time,open,high,low,close,volume"),
        csv(bars(), "Timestamp,Open,High,Low,Close,Vol"),
        "\ufeff" + csv(bars(), "unix,open,high,low,close,volume"),
        csv(bars()).replace(",", ";"),
        csv(bars(), "time,open,high,low,close,volume").replace(",", "\t"),
        csv(bars()).replace("\n", "\r\n"),
        csv(bars()).replace("\n", "\n\n"),
        csv([[row[0] / 1000, *row[1:]] for row in bars()]),
        csv(archive_rows()),
        csv(archive_rows(1_000)),
        csv([[row[0] * 1_000_000, *row[1:]] for row in bars()]),
        csv(
            [[row[0], row[1], row[4], row[2], row[3], row[5], row[5] * row[4]] for row in bars()],
            "time,open,close,high,low,volume,turnover",
        ),
        csv([[f"2020-02-09T00:0{i}:00Z", *row[1:]] for i, row in enumerate(bars())], HEADER),
        csv([[f"2020-02-09 02:0{i}:00+02:00", *row[1:], "BTC"] for i, row in enumerate(bars())], HEADER + ",ticker"),
    ],
    ids=lambda content: content[:44].strip(),
)
def test_csv(content: str, write: Write) -> None:
    assert_is_bars(one(write("candles.csv", content)))
    assert_is_bars(one(write("candles.csv.gz", gzip.compress(content.encode()))))
    assert_is_bars(
        one(write("candles.zip", packed({"candles.csv": content, "__MACOSX/x": "", ".DS_Store": "", "folder/": ""})))
    )


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(bars()),
        json.dumps([[float(row[0]), *map(str, row[1:])] for row in bars()]),
        json.dumps([dict(zip(HEADER.split(","), row, strict=True)) for row in bars()]),
        json.dumps({"data": bars()}),
    ],
    ids=["lists", "floats and texts", "records", "envelope"],
)
def test_json(content: str, write: Write) -> None:
    assert_is_bars(one(write("candles.json", content)))
    assert_is_bars(one(write("candles.json.gz", gzip.compress(content.encode()))))


KUCOIN = [[str(int(r[0] / 1000)), *(str(r[k]) for k in (1, 4, 2, 3, 5)), "9"] for r in reversed(bars())]


def test_kucoin_replies_are_seconds_newest_first_and_close_before_high(write: Write) -> None:
    rows = one(write("klines.json", json.dumps({"code": "200000", "data": KUCOIN})))
    assert_is_bars(rows)
    assert rows.table.where(int(rows.row[0])).endswith("klines.json row 5")
    kucoin = ReadOptions(layout="kucoin")
    assert_is_bars(one(write("k.csv", csv(KUCOIN)), options=kucoin))
    assert_is_bars(one(write("k.csv", csv(KUCOIN[::-1])), options=kucoin))


def test_columns_can_be_named(write: Write) -> None:
    rows = [["x", row[5], row[0], row[4], row[1], row[3], row[2]] for row in bars()]
    named = ReadOptions(columns=("exchange", "volume", "time", "close", "open", "low", "high"))
    assert_is_bars(one(write("c.csv", csv(rows)), options=named))
    assert_is_bars(one(write("c.csv", csv(rows, "a,b,c,d,open,f,g")), options=named))
    assert_is_bars(
        one(write("c.json", json.dumps([dict(zip("abcdefg", row, strict=True)) for row in rows])), options=named)
    )


@pytest.mark.parametrize("kind", ["datetime", "integer", "text"])
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_columnar(suffix: str, kind: str, tmp_path: Path) -> None:
    times = {
        "datetime": pa.array(
            [datetime.fromtimestamp(row[0] / 1000, tz=UTC) for row in bars()], pa.timestamp("us", "UTC")
        ),
        "integer": pa.array([int(row[0]) for row in bars()]),
        "text": pa.array([datetime.fromtimestamp(row[0] / 1000, tz=UTC).isoformat() for row in bars()]),
    }
    columns = dict(zip(HEADER.split(",")[1:], np.array(bars())[:, 1:].T, strict=True))
    table = pa.table({"date": times[kind], **columns})
    path = tmp_path / f"candles.{suffix}"
    (parquet.write_table if suffix == "parquet" else feather.write_feather)(table, path)
    assert_is_bars(one(path))


def test_parquet_refusals(tmp_path: Path) -> None:
    columns = dict(zip(HEADER.split(",")[1:], np.array(bars())[:, 1:].T, strict=True))
    naive = [datetime.fromtimestamp(row[0] / 1000, tz=UTC).replace(tzinfo=None) for row in bars()]
    path = tmp_path / "candles.parquet"

    def reading(**replaced: object) -> Callable[[], FileRows]:
        parquet.write_table(pa.table({"date": pa.array(naive, pa.timestamp("us")), **columns, **replaced}), path)
        return lambda: one(path, options=ReadOptions(timezone="UTC"))

    reading()
    with pytest.raises(BadFileError, match=r"parquet row 1: the time '.*' has no offset\. If they are UTC, say so"):
        one(path)
    assert_is_bars(reading()())
    with pytest.raises(BadFileError, match="row 5: '' is not a time"):
        reading(date=pa.array([*naive[:4], None], pa.timestamp("us")))()
    with pytest.raises(BadFileError, match="finer than a millisecond"):
        reading(date=pa.array([naive[0].replace(microsecond=1), *naive[1:]], pa.timestamp("us")))()
    with pytest.raises(BadFileError, match="row 3: a value is not a finite number"):
        reading(close=pa.array([100.5, 101.5, None, 103.5, 104.5]))()
    parquet.write_table(pa.table({"date": naive, "open": columns["open"]}), path)
    with pytest.raises(BadFileError, match="no column for high among date, open"):
        one(path)
    parquet.write_table(pa.table({"date": pa.array([], pa.int64())}), path)
    with pytest.raises(BadFileError, match="has no rows"):
        one(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadFileError, match="is damaged"):
        one(path)


def test_without_pyarrow_the_extra_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadFileError, match=r"needs pyarrow to be read\. Install .*regime-pipeline\[parquet\]"):
        one(write("candles.parquet", b"PAR1"))


# Names that promise something


def test_a_bulk_archive_covers_its_day_or_month(write: Write) -> None:
    day = one(write("BTCUSDT-1m-2020-02-09.zip", packed({"BTCUSDT-1m-2020-02-09.csv": csv(archive_rows())})))
    assert day.covered == ((DAY, DAY + 24 * HOUR_MS),)
    month = one(write("BTCUSDT-1m-2020-02.csv.gz", gzip.compress(csv(archive_rows()).encode())))
    assert month.covered == ((to_ms("2020-02-01T00:00:00Z"), to_ms("2020-03-01T00:00:00Z")),)
    both = {f"BTCUSDT-1m-2020-02-{d:02}.csv": csv(bars(3, DAY + (d - 9) * 24 * HOUR_MS)) for d in (10, 9)}
    parts = read_file(write("all.zip", packed(both)), MARKET, AUTO)
    assert [part.covered[0][0] for part in parts] == [DAY, DAY + 24 * HOUR_MS]
    december = one(write("BTCUSDT-1m-2024-12.csv", csv(bars(start_ms=to_ms("2024-12-05T00:00:00Z")))))
    assert december.covered[0][1] == to_ms("2025-01-01T00:00:00Z")


def test_lean_minutes_count_from_midnight_and_cover_their_day(write: Write) -> None:
    content = packed(
        {"20200209_btcusdt_minute_trade.csv": csv([[i * 60_000, *row[1:]] for i, row in enumerate(bars())])}
    )
    for name, layout in (("minute/btcusdt/20200209_trade.zip", "auto"), ("20200209_trade.zip", "lean")):
        rows = one(write(name, content), options=ReadOptions(layout=layout))
        assert rows.open_time_ms.tolist() == [row[0] for row in bars()]
        assert rows.covered == ((DAY, DAY + 24 * HOUR_MS),)
    with pytest.raises(BadFileError, match="holds BTCUSDT 1m by its name, not ETH-USDT_1m"):
        one(write("minute/btcusdt/20200209_trade.zip", content), Market("ETH-USDT", "1m"))
    with pytest.raises(BadFileError, match="has no day in its name"):
        one(write("candles.csv", csv(bars())), options=ReadOptions(layout="lean"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ETHUSDT-1m-2020-02-09.csv", "holds ETHUSDT 1m by its name, not BTC-USDT_1m"),
        ("BTCUSDT-5m-2020-02-09.csv", "holds BTCUSDT 5m by its name"),
        ("BTCUSDT-1m-2020-02-31.csv", "names a day that does not exist"),
        ("BTCUSDT-1m-2020-02-10.csv", "line 1: the bar is outside the span that the file's name promises"),
    ],
)
def test_a_file_is_refused_that_does_not_hold_what_its_name_says(name: str, reason: str, write: Write) -> None:
    with pytest.raises(BadFileError, match=reason):
        one(write(name, csv(bars())))


def test_a_hole_too_long_for_an_outage_is_not_confirmed(write: Write) -> None:
    later = DAY + 100 * HOUR_MS
    rows = one(write("cut.csv", csv(bars(2) + bars(3, later))))
    assert rows.covered == ((DAY, DAY + 120_000), (later, later + 180_000))
    outage = one(write("outage.csv", csv(bars(2) + bars(3, DAY + 34 * HOUR_MS))))
    assert outage.covered == ((DAY, DAY + 34 * HOUR_MS + 180_000),)


# Everything that is refused


def broken(row: int, column: int, value: object) -> str:
    rows: list[list[object]] = [list(each) for each in bars()]
    rows[row][column] = value
    return csv(rows)


@pytest.mark.parametrize(
    ("name", "content", "reason", "todo"),
    [
        ("a.csv", "", "has no rows", "export it again"),
        ("a.csv", HEADER + "\n", "has no rows", "export it again"),
        ("a.csv", csv([row[:5] for row in bars()]), "no column for volume among 5 columns", "--volume none"),
        ("a.csv", csv(bars(), "date,open,high,low,close,amount"), "no column for volume among date", "--volume amount"),
        ("a.csv", csv(bars()) + "1,2,3\n", "line 6: 3 cells, not 6 columns as in line 1", "Export"),
        ("a.csv", broken(2, 3, "abc"), "line 3: low 'abc' is not a number", "remove the row"),
        ("a.csv", csv(bars()).replace("101.5", ""), "line 1: high '' is not a number", "remove the row"),
        ("a.csv", broken(3, 4, "nan"), "line 4: a value is not a finite number", "remove the row"),
        ("a.csv", broken(3, 5, "inf"), "line 4: a value is not a finite number", "remove the row"),
        ("a.csv", broken(1, 3, 0), "line 2: a price is zero or negative", "remove the row"),
        ("a.csv", broken(1, 2, 99.0), "line 2: high is below another price", "--layout kucoin"),
        ("a.csv", broken(1, 3, 101.4), "line 2: low is above another price", "--layout kucoin"),
        ("a.csv", broken(1, 5, -0.5), "line 2: volume is negative", "remove the row"),
        ("a.csv", broken(1, 0, DAY + 200_000), "line 3: out of order", "oldest first"),
        ("a.csv", broken(4, 0, DAY + 240_001), "line 5: the open time is not a multiple of 1m", "--drop-unaligned"),
        ("a.csv", broken(1, 0, (DAY + 60_000) * 1000 + 5), "line 2: the time is finer than a millisecond", "open"),
        ("a.csv", csv(bars(5, DAY, HOUR_MS)), "closest are 1h apart", "timeframe of the file"),
        ("a.csv", csv(bars(5, DAY, 420_000)), "closest are 7 minutes apart", "Markets are on 1m"),
        ("a.csv", csv([["2020-02-09 00:00", *bars()[0][1:]]], HEADER), "time '2020-02-09 00:00' has no offset", "UTC"),
        ("a.csv", csv([["yesterday", *bars()[0][1:]]], HEADER), "line 2: 'yesterday' is not a time", "ISO-8601"),
        ("a.csv", broken(0, 0, "nan"), "line 1: 'nan' is not a time", "ISO-8601"),
        ("a.csv", b"\xff\xfe\x00", "is not text in UTF-8", "UTF-8"),
        ("a.csv", "x" * 200_000, "line 1: field larger than field limit", "plain CSV"),
        ("a.json", "[[1,", "is not JSON", "Fetch it again"),
        ("a.json", "{}", "contains no list of rows", "epoch ms"),
        ("a.json", "[]", "contains no list of rows", "epoch ms"),
        ("a.json", "[1, 2]", "row 1 is not a list", "epoch ms"),
        ("a.json", json.dumps([*bars(), [1]]), "row 6 is not a list of the first row's length", "epoch ms"),
        ("a.json", json.dumps([{"a": 1}, {"b": 1}]), "a row has no 'a'", "epoch ms"),
        ("a.json", json.dumps([[None, 1, 1, 1, 1, 1]]), "row 1: 'None' is not a time", "ISO-8601"),
        ("a.json", json.dumps([[1.5, 1, 1, 1, 1, 1]]), "row 1: '1.5' is not a time", "ISO-8601"),
        ("a.json", json.dumps([[DAY, 1, 1, 1, None, 1]]), "row 1: close 'None' is not a number", "remove the row"),
        ("a.doc", "", "is not a known kind of file", ".parquet"),
        ("a.xls", "", "is a .xls file, which is not read", "Save the sheet as CSV"),
        ("a.zip", packed({"a.exe": ""}), "a.zip:a.exe is not a known kind of file", ".csv"),
        ("a.zip", packed({}), "holds no files", "Pack"),
        ("a.zip", packed({"a.csv": csv(bars())})[:100], "is damaged", "again"),
        ("a.zip", packed({"a.csv": csv(bars(50))}).replace(b"\x00", b"\x01"), "is damaged", "again"),
        ("a.csv.gz", gzip.compress(csv(bars()).encode())[:-9], "is damaged", "again"),
        ("a.csv.gz", csv(bars()), "is damaged", "again"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 60 else "content",
)  # fmt: skip
def test_bad_files_are_refused_with_place_reason_and_remedy(
    name: str, content: str | bytes, reason: str, todo: str, write: Write
) -> None:
    path = write(name, content)
    with pytest.raises(BadFileError) as refusal:
        read_file(path, MARKET, AUTO)
    assert str(path) in refusal.value.what
    assert reason in refusal.value.what
    assert todo in refusal.value.todo


def test_a_file_that_is_absent_or_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match="cannot be read: No such file"):
        read_file(tmp_path / "absent.csv", MARKET, AUTO)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadFileError, match="is a folder"):
        read_file(tmp_path / "folder.csv", MARKET, AUTO)


def test_zip_bombs_stop_at_the_limit(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regime_pipeline.sources.files.containers.MAX_BYTES", 1 << 20)
    bomb = "0" * (1 << 21)
    for path in (
        write("b.zip", packed({"b.csv": bomb})),
        write("b.csv.gz", gzip.compress(bomb.encode())),
        write("b.csv", bomb),
    ):
        with pytest.raises(BadFileError, match="larger than 1 MiB unpacked"):
            read_file(path, MARKET, AUTO)
    halves = csv(bars(10_000))
    with pytest.raises(BadFileError, match="larger than 1 MiB unpacked"):
        read_file(write("c.zip", packed({f"{i}.csv": halves for i in range(3)})), MARKET, AUTO)
    monkeypatch.setattr("regime_pipeline.sources.files.containers.MAX_MEMBERS", 2)
    with pytest.raises(BadFileError, match="holds more than 2 files"):
        read_file(write("d.zip", packed({f"{i}.csv": "" for i in range(3)})), MARKET, AUTO)


def test_a_checksum_beside_the_file_is_compared(write: Write) -> None:
    path = write("a.zip", packed({"a.csv": csv(bars())}))
    write("a.zip.CHECKSUM", "0" * 64 + "  a.zip\n")
    with pytest.raises(BadFileError, match=r"does not match a\.zip\.CHECKSUM\. Fetch both again"):
        one(path)


def test_naive_times_are_utc_when_the_user_says_so(write: Write) -> None:
    rows = [[f"2020-02-09 00:0{i}:00", *row[1:]] for i, row in enumerate(bars())]
    assert_is_bars(one(write("a.csv", csv(rows, HEADER)), options=ReadOptions(timezone="UTC")))


def test_unaligned_bars_are_dropped_and_counted_when_the_user_says_so(write: Write) -> None:
    rows = bars(6)
    rows[5][0] += 14_800
    dropping = ReadOptions(is_dropping_unaligned=True)
    found = one(write("a.csv", csv(rows)), options=dropping)
    assert_is_bars(found)
    assert found.unaligned == 1
    with pytest.raises(BadFileError, match="no row opens on a multiple of 1m"):
        one(write("b.csv", csv(rows[5:])), options=dropping)
