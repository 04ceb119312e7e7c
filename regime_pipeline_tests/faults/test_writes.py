"""Kills, cut connections, held locks and full disks at named points of a write: the old content or the new, whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.bulk import statements as bulk_io
from regime_pipeline.storage.bulk.columns import CANDLE_REGIME
from regime_pipeline.storage.databases import resolve_database
from regime_pipeline.storage.embedded.server import EmbeddedServer, embedded_server
from regime_pipeline.storage.snapshots.codec import encode
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.bulk.crash_client import POINTS, WINDOW
from regime_pipeline_tests.storage.bulk.test_crash import Writer, stored_seed
from regime_pipeline_tests.storage.factories import MINUTES, begin, hours, random_rows
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, random_candles, snapshots_of

pytestmark = [pytest.mark.faults, pytest.mark.postgres]

CLIENT_KILLS, SERVER_KILLS = 10, 3
"""Tries at each of the seven named points."""


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedServer]:
    """An embedded server with its default settings, as users have it."""
    found = embedded_server(home)
    yield found
    found.release()


@pytest.fixture
def warehouse(server: EmbeddedServer, home: Path) -> Iterator[Warehouse]:
    """An empty warehouse on that server."""
    url = resolve_database(home, None, None, "nobody").regimes
    upgrade(url)
    with Warehouse(url) as made:
        yield made


def write(warehouse: Warehouse, seed: int, run_id: int) -> None:
    rows = random_rows(CANDLE_REGIME, MINUTES, WINDOW, seed)
    warehouse.replace_range("candle_regime", MINUTES, WINDOW, rows, run_id)


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_at_a_named_point_changes_nothing(warehouse: Warehouse, point: str) -> None:
    writer, seed = Writer(warehouse.url, begin(warehouse, MINUTES)), 1
    assert writer.write(seed, "never") == "done"
    for _ in range(CLIENT_KILLS):
        assert writer.write(3 - seed, point) == "killed"
        assert stored_seed(warehouse) == seed
        assert writer.write(3 - seed, "never") == "done"
        seed = 3 - seed
        assert stored_seed(warehouse) == seed
    writer.close()


@pytest.mark.parametrize("point", [point for point in POINTS if point != "mid copy"])
def test_the_server_killed_at_a_named_point_leaves_old_or_new(
    warehouse: Warehouse, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    run, seed = begin(warehouse, MINUTES), 1
    armed: list[bool] = []
    kills: list[str] = []
    write(warehouse, seed, run)
    module, name = POINTS[point]
    original = getattr(module, name)

    def kill_once(*given: Any, **named: Any) -> Any:
        if armed and armed.pop():
            os.kill(server.status().postmaster_pid or 0, signal.SIGKILL)
            kills.append(point)
        return original(*given, **named)

    monkeypatch.setattr(module, name, kill_once)
    for _ in range(SERVER_KILLS):
        armed.append(True)
        with kept_alive(server):
            try:
                write(warehouse, 3 - seed, run)
                seed = 3 - seed
            except StorageError:
                server.attach()
                found = stored_seed(warehouse)
                write(warehouse, 3 - found, run)
                seed = 3 - found
        server.attach()
        assert stored_seed(warehouse) == seed
    assert len(kills) == SERVER_KILLS


@contextmanager
def kept_alive(server: EmbeddedServer) -> Iterator[None]:
    """Start the server again whenever it is gone, as `regime up` does."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(0.2):
            server.attach()

    keeper = threading.Thread(target=keep)
    keeper.start()
    yield
    done.set()
    keeper.join()


def test_connections_that_are_cut_during_writes_lose_none(warehouse: Warehouse) -> None:
    """Three cuts at random moments of every write, fewer than the attempts of a write, however slow the machine is."""
    run, rng = begin(warehouse, MINUTES), random.Random(7)
    write(warehouse, 1, run)

    def cut() -> int:
        others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
        total = 0
        with psycopg.connect(warehouse.url, autocommit=True) as connection:
            for _ in range(3):
                row = connection.execute(f"{others} AND pid <> pg_backend_pid()").fetchone()
                total += row[0] if row else 0
                time.sleep(rng.uniform(0, 0.04))
        return total

    cuts = 0
    with ThreadPoolExecutor(1) as thread:
        for turn in range(40):
            cutting = thread.submit(cut)
            write(warehouse, 2 - turn % 2, run)
            cuts += cutting.result()
            assert stored_seed(warehouse) == 2 - turn % 2
    assert cuts > 10


def test_a_lock_held_too_long_is_an_error_and_nothing_is_written(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_io, "LOCK_TIMEOUT", "50ms")
    run = begin(warehouse, MINUTES)
    write(warehouse, 1, run)
    with psycopg.connect(warehouse.url) as holder:
        key = f"candle_regime|{warehouse.series_id(MINUTES)}"
        holder.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
        with pytest.raises(StorageError, match="Another writer held the same table and market for too long"):
            write(warehouse, 2, run)
        assert stored_seed(warehouse) == 1
    write(warehouse, 2, run)
    assert stored_seed(warehouse) == 2


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A disk of one MiB that the server's account can reach; skips where it cannot be mounted."""
    place = home.parent / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
    place.rmdir()


def test_a_full_disk_under_a_table_is_an_error_and_the_next_write_works(
    warehouse: Warehouse, server: EmbeddedServer, small_disk: Path
) -> None:
    """The table lies on a disk of one MiB, which a write of 200,000 rows overfills."""
    run, window = begin(warehouse, MINUTES), hours(0, 3_000)
    write(warehouse, 1, run)
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        owner = small_disk / "table"
        owner.mkdir(mode=0o700)
        shutil.chown(owner, server.status().account)
        connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(owner))))
        connection.execute("ALTER TABLE candle_regime SET TABLESPACE small")
        rows = random_rows(CANDLE_REGIME, MINUTES, window, 2)
        with pytest.raises(StorageError, match="No space left on device"):
            warehouse.replace_range("candle_regime", MINUTES, window, rows, run)
        assert stored_seed(warehouse) == 1
        subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
        assert warehouse.replace_range("candle_regime", MINUTES, window, rows, run).written_partitions == 3_000
        connection.execute("ALTER TABLE candle_regime SET TABLESPACE pg_default")
        connection.execute("DROP TABLESPACE small")


def test_a_full_disk_under_the_snapshots_leaves_whole_files_only(small_disk: Path) -> None:
    store, wanted = SnapshotStore(str(small_disk)), snapshots_of(random_candles(HOURLY, 2_000), 2_000)
    with pytest.raises(StorageError, match="No space left on device"):
        store.write(wanted)
    left = store.load_range(HOURLY, wanted[0].hour_start_ms, wanted[-1].hour_start_ms + HOUR_MS)
    assert 0 < len(left) < len(wanted)
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    report = store.write(wanted)
    assert (report.written, report.unchanged) == (len(wanted) - len(left), len(left))
    found = store.load_range(HOURLY, wanted[0].hour_start_ms, wanted[-1].hour_start_ms + HOUR_MS)
    assert [encode(snapshot) for snapshot in found] == [encode(snapshot) for snapshot in wanted]
