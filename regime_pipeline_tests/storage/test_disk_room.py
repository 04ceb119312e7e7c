"""Tests of `storage.disk_room`."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import psycopg
import pytest

from regime_pipeline.cli import app
from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.disk_room import LEAST_BYTES, require_room, room_fault

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Free bytes of the disk that every folder is on."""
    room = {"bytes": LEAST_BYTES}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, room["bytes"]))
    return room


def test_nothing_begins_on_a_disk_that_is_nearly_full(tmp_path: Path, left: dict[str, int]) -> None:
    require_room(tmp_path, tmp_path / "not" / "there" / "yet")

    left["bytes"] -= 1

    with pytest.raises(StorageError, match=r"The disk of .* is full: 63 MiB are left, at least 64 are needed"):
        require_room(tmp_path / "not" / "there" / "yet")


def test_a_folder_that_cannot_be_asked_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Usage:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "disk_usage", refuse)

    require_room(tmp_path)
    assert room_fault(ValueError("anything"), tmp_path) is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    require_room(tmp_path)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        psycopg.errors.DiskFull("could not extend file"),
        caused(RuntimeError("run failed"), psycopg.errors.DiskFull("could not extend file")),
    ],
    ids=["file", "quota", "database", "below"],
)
def test_a_failure_that_says_so_becomes_a_sentence_wherever_the_disk_is(
    tmp_path: Path, left: dict[str, int], error: Exception
) -> None:
    fault = room_fault(error, tmp_path)

    assert fault is not None
    assert fault.what.startswith("A disk is full")


def test_a_lost_server_is_explained_by_the_full_disk_of_its_home(tmp_path: Path, left: dict[str, int]) -> None:
    error = psycopg.OperationalError("server closed the connection unexpectedly")
    assert room_fault(error, tmp_path) is None

    left["bytes"] = 3 << 20

    assert str(room_fault(error, tmp_path)).startswith(f"The disk of {tmp_path} is full: 3 MiB are left")


def test_any_command_ends_in_the_sentence(
    tmp_path: Path, left: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGIME_HOME", str(tmp_path))

    def fail() -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(psycopg.OperationalError):
        app.main()

    left["bytes"] = 0
    with pytest.raises(SystemExit) as ended:
        app.main()

    assert ended.value.code == app.DATA_MISSING
    assert "is full: 0 MiB are left" in capsys.readouterr().err
