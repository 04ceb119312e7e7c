"""Temporary files of living writers stay whatever the clock says; those of killed writers go with the next write."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.file_locks import remove_leftovers, temporary_file
from regime_pipeline.storage.snapshots.codec import encode
from regime_pipeline.storage.snapshots.store import SnapshotReport, SnapshotStore
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, MINUTES, START, hour_of

FOLDER = "2020/03/12/00"
HOLDER = """
import sys, time
from pathlib import Path
from regime_pipeline.storage.file_locks import temporary_file
with temporary_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path))


def temporary_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".*.tmp"))


def during_a_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], times: int = 1) -> None:
    """Do something in the first syncs, when a temporary file is written and has no other name yet."""
    real, left = os.fsync, [times]

    def fsync(handle: int) -> None:
        if left[0]:
            left[0] -= 1
            act()
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_clock_that_jumps_forward_takes_no_file_from_a_living_writer(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def jump_and_write_another_market() -> None:
        (mine,) = temporary_in(tmp_path)
        os.utime(mine, (time.time() - 7200, time.time() - 7200))  # all that a jump by two hours changes
        assert SnapshotStore(str(tmp_path)).write([hour_of(MINUTES)]) == SnapshotReport(written=1)
        seen.append(mine.exists())

    during_a_write(monkeypatch, jump_and_write_another_market)

    assert store.write([hour_of(HOURLY)]) == SnapshotReport(written=1)
    assert seen == [True]
    assert encode(store.load(HOURLY, START)) == encode(hour_of(HOURLY))
    assert temporary_in(tmp_path) == []


def test_a_killed_writers_file_goes_with_the_next_write_and_a_living_ones_stays(
    store: SnapshotStore, tmp_path: Path
) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(folder / "ETH-USDT_15m.json")]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            (held,) = temporary_in(folder)
            os.utime(held, (0, 0))
            store.write([hour_of(HOURLY)])
            assert temporary_in(folder) == [held]
        finally:
            writer.kill()

    assert temporary_in(folder) == [held]
    assert store.load(HOURLY, START) is not None
    store.write([hour_of(MINUTES)])
    assert sorted(path.name for path in folder.iterdir()) == ["ETH-USDT_1h.json", "ETH-USDT_1m.json"]


def test_a_file_that_is_taken_away_is_written_again(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network folder whose locks stay on each machine: the other one takes every temporary file for a leftover."""

    def other_machine() -> None:
        for path in temporary_in(tmp_path):
            path.unlink()

    during_a_write(monkeypatch, other_machine, times=3)

    assert store.write([hour_of(HOURLY)]) == SnapshotReport(written=1)
    assert encode(store.load(HOURLY, START)) == encode(hour_of(HOURLY))

    during_a_write(monkeypatch, other_machine, times=100)
    with pytest.raises(StorageError, match=r"Cannot write snapshots .*No such file"):
        store.write([hour_of(HOURLY, seed=2)])
    assert encode(store.load(HOURLY, START)) == encode(hour_of(HOURLY))


def test_without_locks_files_are_written_and_leftovers_stay(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / FOLDER / ".ETH-USDT_1h.json.aa.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b'{"half')

    def no_locks(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks)
        assert store.write([hour_of(HOURLY)]) == SnapshotReport(written=1)
    assert temporary_in(tmp_path) == [leftover]

    store.write([hour_of(MINUTES)])
    assert temporary_in(tmp_path) == []


def test_a_leftover_that_cannot_be_opened_holds_up_no_write(store: SnapshotStore, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    (folder / ".folder.tmp").mkdir(parents=True)
    (folder / ".dangling.tmp").symlink_to(tmp_path / "nowhere")

    assert store.write([hour_of(HOURLY)]) == SnapshotReport(written=1)
    assert len(temporary_in(folder)) == 2


def test_a_temporary_file_may_be_moved_away_and_is_private_to_its_writer(tmp_path: Path) -> None:
    with temporary_file(tmp_path / "a") as one, temporary_file(tmp_path / "a") as other:
        assert one.name != other.name
        remove_leftovers(tmp_path)
        assert len(temporary_in(tmp_path)) == 2
        one.write(b"whole")
        Path(one.name).replace(tmp_path / "a")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"
