"""Reading by symbol and time, and the check of all files of an hour."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pytest

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline.storage.snapshots.codec import encode
from regime_pipeline.storage.snapshots.reader import SnapshotReader
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, MINUTES, hour_of, random_candles, snapshots_of


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path))


@pytest.fixture
def reader(store: SnapshotStore) -> SnapshotReader:
    return SnapshotReader(store)


@pytest.mark.parametrize(
    "moment", ["2020-03-12T00:00:00Z", "2020-03-12T00:59:59+00:00", datetime(2020, 3, 12, 0, 30, tzinfo=UTC)]
)
@pytest.mark.parametrize("symbol", ["ETH-USDT", "ETHUSDT"])
def test_any_moment_of_the_hour_finds_it(
    store: SnapshotStore, reader: SnapshotReader, symbol: str, moment: datetime | str
) -> None:
    store.write([hour_of(HOURLY), hour_of(MINUTES)])

    assert encode(reader.load_snapshot(symbol, moment)) == encode(hour_of(HOURLY))
    assert encode(reader.load_snapshot(symbol, moment, "1m")) == encode(hour_of(MINUTES))


def test_as_of_finds_what_was_known(store: SnapshotStore, reader: SnapshotReader) -> None:
    store.write([hour_of(HOURLY, 1, 1000), hour_of(HOURLY, 2, 2000)])

    known = reader.load_snapshot("ETH-USDT", "2020-03-12T00:00:00Z", as_of="2020-05-01T00:00:00Z")

    assert encode(known) == encode(hour_of(HOURLY, 1, 1000))
    with pytest.raises(MissingDataError, match="as of 2020-03-13"):
        reader.load_snapshot("ETH-USDT", "2020-03-12T00:00:00Z", as_of="2020-03-13T00:00:00Z")


def test_an_absent_snapshot_is_said(reader: SnapshotReader) -> None:
    with pytest.raises(MissingDataError, match="no snapshot of ETH-USDT_1h 2020-03-12T05:00:00Z"):
        reader.load_snapshot("ETH-USDT", "2020-03-12T05:10:00Z")


@pytest.mark.parametrize(
    ("symbol", "moment", "timeframe"),
    [
        ("../../secret", "2020-03-12T00:00:00Z", "1h"),
        ("ETH-USDT", "2020-03-12T00:00:00", "1h"),
        ("ETH-USDT", "2020-03-12T00:00:00Z", "../1h"),
    ],
)
def test_what_cannot_be_asked_is_refused(reader: SnapshotReader, symbol: str, moment: str, timeframe: str) -> None:
    with pytest.raises(UsageError):
        reader.load_snapshot(symbol, moment, timeframe)


def test_a_range_holds_the_hours_that_start_in_it(store: SnapshotStore, reader: SnapshotReader) -> None:
    snapshots = snapshots_of(random_candles(HOURLY, 6), 6)
    store.write([s for at, s in enumerate(snapshots) if at != 3])

    found = reader.load_range("ETH-USDT", "2020-03-12T00:30:00Z", "2020-03-12T05:00:00Z")

    assert [encode(s) for s in found] == [encode(snapshots[at]) for at in (1, 2, 4)]


def whole_hour(store: SnapshotStore) -> None:
    minutes = random_candles(MINUTES, 1)
    store.write(snapshots_of(minutes, 1))
    for timeframe in ("5m", "15m", "1h"):
        store.write(snapshots_of(resample(minutes, timeframe), 1))


def test_a_sound_hour_has_no_fault(store: SnapshotStore, reader: SnapshotReader) -> None:
    whole_hour(store)
    store.write(snapshots_of(random_candles(Market("ETH-USDT", "4h"), 4), 4)[:1])

    assert reader.validate_hour("ETH-USDT", "2020-03-12T00:20:00Z") == ()


def test_absent_minutes_are_named(store: SnapshotStore, reader: SnapshotReader) -> None:
    whole_hour(store)
    present = np.delete(np.arange(60), [7, 8, 30])
    store.write(snapshots_of(random_candles(MINUTES, 1)[present], 1))

    assert reader.validate_hour("ETH-USDT", "2020-03-12T00:00:00Z") == (
        "ETH-USDT_1m 2020-03-12T00:00:00Z: 3 of 60 bars are absent (exchange_gap): 00:07, 00:08, 00:30",
    )


def test_files_that_disagree_are_named(store: SnapshotStore, reader: SnapshotReader) -> None:
    whole_hour(store)
    store.write(snapshots_of(random_candles(HOURLY, 1, seed=5, price_scale=1000), 1))

    faults = reader.validate_hour("ETH-USDT", "2020-03-12T00:00:00Z")

    assert any(fault.startswith("close is ") and "in ETH-USDT_1h, " in fault for fault in faults)
    assert all("ETH-USDT_1m" in fault for fault in faults)


def test_every_damaged_file_of_the_hour_is_named(store: SnapshotStore, reader: SnapshotReader, tmp_path: Path) -> None:
    whole_hour(store)
    folder = tmp_path / "2020/03/12/00"
    (folder / "ETH-USDT_5m.json").write_bytes(b"{")
    other_hour = snapshots_of(random_candles(Market("ETH-USDT", "15m"), 2), 2)[1]
    (folder / "ETH-USDT_15m.json").write_bytes(encode(other_hour))

    first, second = reader.validate_hour("ETH-USDT", "2020-03-12T00:00:00Z")

    assert first.startswith("2020/03/12/00/ETH-USDT_5m.json: not JSON")
    assert second == (
        "2020/03/12/00/ETH-USDT_15m.json: holds ETH-USDT_15m 2020-03-12T01:00:00Z, "
        "not ETH-USDT_15m 2020-03-12T00:00:00Z."
    )


def test_an_hour_without_files_is_a_fault(reader: SnapshotReader) -> None:
    assert reader.validate_hour("ETH-USDT", "2020-03-12T00:00:00Z") == (
        "there is no snapshot of ETH-USDT 2020-03-12T00:00:00Z",
    )


def test_a_file_of_another_program_without_hash_and_scale_is_read_and_said_to_be_unverified(
    store: SnapshotStore, reader: SnapshotReader, tmp_path: Path
) -> None:
    store.write(snapshots_of(random_candles(MINUTES, 3)[:60], 1))
    (file,) = tmp_path.rglob("*_1m.json")
    document = orjson.loads(file.read_bytes())
    assert document.pop("price_scale") == 100
    document["metadata"].pop("sha256")
    file.write_bytes(orjson.dumps(document))

    snapshot = reader.load_snapshot("ETH-USDT", document["hour_start"], "1m")

    assert (snapshot.is_verified, len(snapshot.bars)) == (False, 60)
    assert len(reader.load_candles(MINUTES, snapshot.hour_start_ms, snapshot.hour_start_ms + 3_600_000)) == 60
    (fault,) = reader.validate_hour("ETH-USDT", document["hour_start"])
    assert "no hash, so nobody can tell whether it is as it was written" in fault
