"""The snapshot store: places, revisions, as-of reads, races and killed writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson
import pytest

from regime_pipeline.domain.errors import BadSnapshotError, StorageError
from regime_pipeline.domain.market_data.completeness import COMPLETE, EXCHANGE_GAP, MISSING
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.storage.snapshots.codec import content_hash, encode
from regime_pipeline.storage.snapshots.store import SnapshotReport, SnapshotStore
from regime_pipeline_tests.conftest import SOAK
from regime_pipeline_tests.storage.snapshots.factories import (
    HOURLY,
    MINUTES,
    START,
    assert_same_candles,
    content_sha256,
    hour_of,
    random_candles,
    snapshots_of,
    span,
)

ROOT_OF_TESTS = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["local", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    roots = {
        "local": str(tmp_path / "snapshots"),
        "file": f"file://{tmp_path}/snapshots",
        "memory": f"memory://{uuid.uuid4().hex}/snapshots",
    }
    return SnapshotStore(roots[request.param])


@pytest.fixture
def local(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path))


def files_under(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_snapshot_lies_in_the_folder_of_its_hour(local: SnapshotStore, tmp_path: Path) -> None:
    local.write([hour_of(HOURLY), hour_of(MINUTES)])

    assert files_under(tmp_path) == ["2020/03/12/00/ETH-USDT_1h.json", "2020/03/12/00/ETH-USDT_1m.json"]
    assert (tmp_path / "2020/03/12/00/ETH-USDT_1h.json").read_bytes() == encode(hour_of(HOURLY))


@pytest.mark.parametrize("timeframe", TIMEFRAME_MINUTES)
def test_candles_come_back(store: SnapshotStore, timeframe: str) -> None:
    market = Market("BTC-USDT", timeframe)
    candles = random_candles(market, 72)

    report = store.write(snapshots_of(candles, 72))

    assert report == SnapshotReport(written=72)
    assert_same_candles(store.read_candles(market, START - 24 * HOUR_MS, START + 72 * HOUR_MS), candles)
    part = store.read_candles(market, START + 5 * HOUR_MS + 1, START + 30 * HOUR_MS - 1)
    assert_same_candles(part, candles.between(START + 5 * HOUR_MS + 1, START + 30 * HOUR_MS - 1))
    assert store.read_statuses(market, span(72)).tolist() == [COMPLETE] * 72


def test_the_same_content_is_not_written_again(store: SnapshotStore) -> None:
    store.write([hour_of(HOURLY, collected_hours=1000)])

    assert store.write([hour_of(HOURLY, collected_hours=2000)]) == SnapshotReport(unchanged=1)
    assert encode(store.load(HOURLY, START)) == encode(hour_of(HOURLY, collected_hours=1000))


def test_a_correction_is_a_revision_and_the_newest_is_read(store: SnapshotStore) -> None:
    versions = [hour_of(HOURLY, seed, 1000 + seed) for seed in range(4)]

    reports = [store.write([version]) for version in versions]

    assert reports == [SnapshotReport(written=1), *[SnapshotReport(revised=1)] * 3]
    assert encode(store.load(HOURLY, START)) == encode(versions[3])
    assert_same_candles(store.read_candles(HOURLY, START, START + HOUR_MS), versions[3].bars)


def test_as_of_reads_what_was_known_then(store: SnapshotStore) -> None:
    versions = [hour_of(HOURLY, seed, 1000 + seed) for seed in range(4)]
    store.write(versions)

    def known(hours: float) -> int | None:
        moment = START + round(hours * HOUR_MS)
        found = store.load(HOURLY, START, moment)
        candles = store.read_candles(HOURLY, START, START + HOUR_MS, moment)
        status = store.read_statuses(HOURLY, span(1), moment)
        assert len(candles) == (found is not None)
        assert status.tolist() == [MISSING if found is None else COMPLETE]
        return None if found is None else [content_sha256(v) for v in versions].index(content_sha256(found))

    assert [known(h) for h in (999.9, 1000, 1000.9, 1001, 1002.5, 1003, 5000)] == [None, 0, 0, 1, 2, 3, 3]


def test_a_value_that_returns_is_a_revision_again(store: SnapshotStore) -> None:
    store.write([hour_of(HOURLY, 1), hour_of(HOURLY, 2), hour_of(HOURLY, 1)])

    assert content_sha256(store.load(HOURLY, START)) == content_sha256(hour_of(HOURLY, 1))
    assert store.write([hour_of(HOURLY, 1)]) == SnapshotReport(unchanged=1)


def test_absent_hours_give_no_bars_and_are_missing(store: SnapshotStore) -> None:
    snapshots = snapshots_of(random_candles(MINUTES, 6)[:200], 6)
    store.write([snapshots[0], snapshots[3], snapshots[5]])

    assert store.read_statuses(MINUTES, span(6)).tolist() == [
        COMPLETE,
        MISSING,
        MISSING,
        EXCHANGE_GAP,
        MISSING,
        EXCHANGE_GAP,
    ]
    candles = store.read_candles(MINUTES, START, START + 6 * HOUR_MS)
    assert candles.open_time_ms.tolist() == [*snapshots[0].bars.open_time_ms, *snapshots[3].bars.open_time_ms]
    assert store.load(MINUTES, START + HOUR_MS) is None
    assert [s.hour_start_ms for s in store.load_range(MINUTES, START, START + 6 * HOUR_MS)] == [
        START,
        START + 3 * HOUR_MS,
        START + 5 * HOUR_MS,
    ]


def test_an_empty_store_reads_as_nothing(store: SnapshotStore) -> None:
    assert len(store.read_candles(HOURLY, START, START + 5 * HOUR_MS)) == 0
    assert len(store.read_candles(HOURLY, START, START)) == 0
    assert store.write([]) == SnapshotReport()


def test_only_the_hours_in_which_a_bar_can_close_are_opened(local: SnapshotStore, tmp_path: Path) -> None:
    market = Market("ETH-USDT", "4h")
    candles = random_candles(market, 24)
    local.write(snapshots_of(candles, 24))
    for hour in set(range(24)) - {3, 7, 11, 15, 19, 23}:
        (tmp_path / f"2020/03/12/{hour:02}/ETH-USDT_4h.json").write_bytes(b"never read")

    assert_same_candles(local.read_candles(market, START, START + 24 * HOUR_MS), candles)


def rewrite(path: Path, **changes: object) -> None:
    document = orjson.loads(path.read_bytes()) | changes
    document["metadata"]["sha256"] = content_hash(document)
    path.write_bytes(orjson.dumps(document))


def test_price_scales_may_change_between_hours(local: SnapshotStore) -> None:
    first, second = snapshots_of(random_candles(HOURLY, 2), 2)
    finer = snapshots_of(random_candles(HOURLY, 2, price_scale=1000), 2)[1]
    local.write([first, finer])

    candles = local.read_candles(HOURLY, START, START + 2 * HOUR_MS)

    assert candles.price_scale == 1000
    assert candles.open.tolist() == [int(first.bars.open[0]) * 10, int(second.bars.open[0])]


def test_old_and_indented_files_are_read(local: SnapshotStore, tmp_path: Path) -> None:
    candles = random_candles(HOURLY, 3)
    local.write(snapshots_of(candles, 3))
    old, indented = (tmp_path / f"2020/03/12/0{hour}/ETH-USDT_1h.json" for hour in (0, 1))
    document = orjson.loads(old.read_bytes())
    del document["price_scale"]
    document["metadata"]["sha256"] = content_hash(document)
    old.write_bytes(orjson.dumps(document))
    rewrite(indented, symbol="ETHUSDT")
    indented.write_bytes(orjson.dumps(orjson.loads(indented.read_bytes()), option=orjson.OPT_INDENT_2))

    assert_same_candles(local.read_candles(HOURLY, START, START + 3 * HOUR_MS), candles)
    assert local.read_statuses(HOURLY, span(3)).tolist() == [COMPLETE] * 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(b"2020-03-12T01:00", b"2020-03-12T02:00")),
        lambda path: path.write_bytes((path.parent.parent / "00" / path.name).read_bytes()),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"present":1', b'"present":2')),
        lambda path: rewrite(path, bars=[[START, 5, 5, 5, 5, 1.0]]),
        lambda path: rewrite(path, bars=[[START + HOUR_MS, 5.5, 5.5, 5.5, 5.5, 1.0]]),
        lambda path: rewrite(path, bars=[[START + HOUR_MS, 5, 5, 5, 5]]),
        lambda path: rewrite(path, bars=[[START + HOUR_MS, 5, 5, 5, 5, "1"]]),
        lambda path: rewrite(path, bars=[[START + HOUR_MS, 5, 1, 5, 5, 1.0]]),
        lambda path: rewrite(path, price_scale="100"),
        lambda path: rewrite(path, price_scale=0),
        lambda path: rewrite(path, symbol="BTC-USDT"),
        lambda path: rewrite(path, timeframe="1m"),
    ],
)
def test_a_damaged_or_misplaced_file_is_refused_by_name(local: SnapshotStore, tmp_path: Path, damage: object) -> None:
    local.write(snapshots_of(random_candles(HOURLY, 3), 3))
    damage(tmp_path / "2020/03/12/01/ETH-USDT_1h.json")

    for first, end in ((1, 2), (0, 3)):
        with pytest.raises(BadSnapshotError, match=r"2020/03/12/01/ETH-USDT_1h\.json"):
            local.read_candles(HOURLY, START + first * HOUR_MS, START + end * HOUR_MS)
    with pytest.raises(BadSnapshotError, match=r"2020/03/12/01/ETH-USDT_1h\.json"):
        local.load(HOURLY, START + HOUR_MS)
    assert len(local.read_candles(HOURLY, START, START + HOUR_MS)) == 1


def test_a_status_of_another_writer_is_refused(local: SnapshotStore, tmp_path: Path) -> None:
    local.write([hour_of(HOURLY)])
    path = tmp_path / "2020/03/12/00/ETH-USDT_1h.json"
    rewrite(path, metadata=orjson.loads(path.read_bytes())["metadata"] | {"status": "fine"})

    with pytest.raises(BadSnapshotError, match=r"metadata\.status is 'fine'"):
        local.read_statuses(HOURLY, span(1))


@pytest.mark.parametrize("data", [b"", b"[]", b'{"metadata":7}', b'{"metadata":{"sha256":"x"}}'])
def test_a_damaged_file_is_superseded_by_the_next_write(local: SnapshotStore, tmp_path: Path, data: bytes) -> None:
    local.write([hour_of(HOURLY)])
    (tmp_path / "2020/03/12/00/ETH-USDT_1h.json").write_bytes(data)

    assert local.write([hour_of(HOURLY)]) == SnapshotReport(revised=1)
    assert encode(local.load(HOURLY, START)) == encode(hour_of(HOURLY))
    with pytest.raises(BadSnapshotError):
        local.load(HOURLY, START, as_of_ms=START)


def test_a_root_that_is_not_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SnapshotStore(str(tmp_path / "file"))

    with pytest.raises(StorageError, match=r"Cannot write snapshots under .*file"):
        store.write([hour_of(HOURLY)])
    with pytest.raises(StorageError, match=r"Cannot read snapshots under .*file"):
        store.load(HOURLY, START)


def test_threads_that_race_lose_no_revision_and_write_none_twice(local: SnapshotStore, tmp_path: Path) -> None:
    versions = [hour_of(HOURLY, seed % 4) for seed in range(16)]

    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda version: local.write([version]), versions))

    files = files_under(tmp_path)
    assert sum(r.written for r in reports) == 1
    assert sum(r.written + r.revised for r in reports) == len(files)
    assert sum(r.unchanged for r in reports) == 16 - len(files)
    hashes = [orjson.loads((tmp_path / name).read_bytes())["metadata"]["sha256"] for name in files]
    assert set(hashes) == {content_sha256(v) for v in versions}
    assert "2020/03/12/00/ETH-USDT_1h.json" in files
    assert f"2020/03/12/00/ETH-USDT_1h.r{len(files)}.json" in files


WRITER = """
import sys
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.storage.snapshots.factories import MINUTES, random_candles, snapshots_of
store = SnapshotStore(sys.argv[1])
seeds = [int(seed) for seed in sys.argv[2].split(",")]
print("ready", flush=True)
while seeds:
    for seed in seeds:
        store.write(snapshots_of(random_candles(MINUTES, 3, seed), 3))
    if sys.argv[3] == "once":
        break
"""


def start_writer(root: Path, seeds: str, mode: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(root), seeds, mode]
    return subprocess.Popen(command, cwd=ROOT_OF_TESTS, stdout=subprocess.PIPE)


def test_processes_that_race_lose_no_revision(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, seeds, "once") for seeds in ("1,2,3", "4,5,6", "7,8,9")]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0

    files = files_under(tmp_path)
    assert len(files) == 27
    wanted = {content_sha256(s) for seed in range(1, 10) for s in snapshots_of(random_candles(MINUTES, 3, seed), 3)}
    assert {orjson.loads((tmp_path / name).read_bytes())["metadata"]["sha256"] for name in files} == wanted
    assert [sum(name.endswith(f"{hour:02}/ETH-USDT_1m.r9.json") for name in files) for hour in range(3)] == [1, 1, 1]


@pytest.mark.soak
def test_a_killed_writer_leaves_whole_files_and_temporary_ones_only(tmp_path: Path) -> None:
    tries = 6 * SOAK
    SnapshotStore(str(tmp_path)).write(snapshots_of(random_candles(MINUTES, 3, 1), 3))
    for attempt in range(tries):
        writer = start_writer(tmp_path, "1,2", "forever")
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05 * attempt / tries)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()

    store = SnapshotStore(str(tmp_path))
    names = [name for name in files_under(tmp_path) if not name.endswith(".tmp")]
    for revision_time in (None, START + 1000 * HOUR_MS):
        assert store.load(MINUTES, START, revision_time) is not None
    valid = {encode(s) for seed in (1, 2) for s in snapshots_of(random_candles(MINUTES, 3, seed), 3)}
    assert {(tmp_path / name).read_bytes() for name in names} <= valid


def test_leftovers_are_ignored_and_removed(local: SnapshotStore, tmp_path: Path) -> None:
    leftover = tmp_path / "2020/03/12/00/.ETH-USDT_1h.json.aa.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b'{"half')

    assert local.load(HOURLY, START) is None
    local.write([hour_of(HOURLY)])

    assert files_under(tmp_path) == ["2020/03/12/00/ETH-USDT_1h.json"]


def test_a_failed_write_leaves_nothing(local: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(StorageError, match="No space left"):
        local.write([hour_of(HOURLY)])

    assert files_under(tmp_path) == []


def test_large_files_are_read_whole(local: SnapshotStore, tmp_path: Path) -> None:
    local.write([hour_of(HOURLY)])
    path = tmp_path / "2020/03/12/00/ETH-USDT_1h.json"
    path.write_bytes(path.read_bytes() + b" " * 200_000)

    assert len(local.read_candles(HOURLY, START, START + HOUR_MS)) == 1


def test_a_month_of_another_market_is_not_touched(store: SnapshotStore) -> None:
    store.write(snapshots_of(random_candles(HOURLY, 3), 3))

    assert len(store.read_candles(Market("ETH-USDT", "1m"), START, START + 3 * HOUR_MS)) == 0
    assert len(store.read_candles(Market("ETH-USDC", "1h"), START, START + 3 * HOUR_MS)) == 0
    assert np.all(store.read_statuses(Market("ETH-USDC", "1h"), Window.hour(START)) == MISSING)
