"""Locks on files: shared and exclusive, waiting, forgetting, inheriting."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.file_locks import FileLock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.lock"


def test_exclusive_shuts_out_everyone(path: Path) -> None:
    holder, other = FileLock(path), FileLock(path)
    assert holder.try_lock()
    assert not other.try_lock()
    assert not other.try_lock(shared=True)
    holder.close()
    assert other.try_lock()
    other.close()


def test_only_the_last_sharer_can_convert(path: Path) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.try_lock(shared=True)
    assert second.try_lock(shared=True)
    assert not first.try_lock()
    first.close()
    assert second.try_lock()
    second.close()


def test_waits_for_the_holder(path: Path) -> None:
    holder = FileLock(path)
    holder.lock(timeout_s=1.0)
    closing = threading.Event()
    threading.Timer(0.2, lambda: (closing.set(), holder.close())).start()
    with FileLock(path).held(timeout_s=10.0) as lock:
        assert closing.is_set()
        assert lock.is_open
    assert not lock.is_open


def test_gives_up_with_a_remedy(path: Path) -> None:
    with FileLock(path).held(timeout_s=1.0):
        waiter = FileLock(path)
        with pytest.raises(StorageError, match=r"some\.lock has been locked .* Find it with"):
            waiter.lock(timeout_s=0.05)
        assert not waiter.is_open


def test_released_after_an_error_in_the_block(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FileLock(path).held(timeout_s=1.0):
        _ = 1 / 0
    with FileLock(path).held(timeout_s=0.1):
        pass


def test_knows_when_its_file_was_removed_or_replaced(path: Path) -> None:
    lock = FileLock(path)
    assert not lock.is_current
    lock.lock(timeout_s=1.0)
    assert lock.is_current
    path.unlink()
    assert not lock.is_current
    path.touch()
    assert not lock.is_current
    lock.close()


def test_refuses_to_follow_a_link(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(path).try_lock()
    assert not (tmp_path / "elsewhere").exists()


def test_is_for_its_owner_only(path: Path) -> None:
    with FileLock(path).held(timeout_s=1.0):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("is_passed", [False, True])
def test_program_keeps_the_lock_only_when_given_it(path: Path, is_passed: bool) -> None:
    lock, other = FileLock(path), FileLock(path)
    lock.lock(timeout_s=1.0)
    passed = [lock.fileno()] if is_passed else []
    with subprocess.Popen(["/bin/sleep", "30"], pass_fds=passed, close_fds=is_passed) as program:
        lock.close()
        try:
            if is_passed:
                assert not other.try_lock()
            else:
                other.lock(timeout_s=2.0)  # the kernel closes descriptors a moment after the program began
        finally:
            program.kill()
    other.lock(timeout_s=2.0)
    other.close()
