"""Advisory locks on files between processes, and temporary files that such a lock protects.

The kernel drops a lock when its process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from regime_pipeline.domain.errors import StorageError


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file beside a path for the length of a `with` block; what is left under its name is removed then.

    Parameters
    ----------
    path : Path
        The name that the content is to get; its folder must exist.

    Yields
    ------
    BinaryIO
        The file, open for writing; `name` is its path, `.NAME.RANDOM.tmp`.

    Notes
    -----
    The kernel drops the lock when the process ends, however it ends, and no clock is asked. Where a file system has no
    locks, or does not share them between machines, another writer may take the file away: be ready to write it again.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with temporary.open("xb") as file:
        try:
            _lock(file)
            yield file
        finally:
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, pattern: str = ".*.tmp") -> None:
    """Remove the locked files of processes that are gone, temporary files above all; what cannot be locked stays."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError), path.open("r+b") as file:  # network file systems lock what can be written to
            if _lock(file):
                path.unlink()


def _lock(file: BinaryIO) -> bool:
    """Take the file's lock; False where another has it, or where there are no locks."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


_POLL_S: Final = 0.01
_open_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """One lock on one file, held through one open file description.

    Two instances exclude each other even inside a process. A forked child forgets the locks of its parent without
    releasing them, and an executed program inherits none unless `fileno` is passed to it on purpose.

    Parameters
    ----------
    path : Path
        The lock file; created on first use, never removed (removing it would split its holders).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        _open_locks.add(self)

    def __del__(self) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether this instance holds the file open, with or without a lock on it."""
        return self._descriptor >= 0

    @property
    def is_current(self) -> bool:
        """Whether the file that this instance holds open is still the one of that name."""
        if not self.is_open:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def fileno(self) -> int:
        """Return the file descriptor, to be handed to a program that shall keep the lock while it runs."""
        return self._descriptor

    def try_lock(self, *, shared: bool = False) -> bool:
        """Take the lock if no other holder is in the way, converting one already held; never waits.

        A failed conversion may lose the lock that was held (flock converts by release and take).
        """
        if not self.is_open:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(self, *, shared: bool = False, timeout_s: float) -> None:
        """Take the lock, waiting for other holders.

        Raises
        ------
        StorageError
            Another process still held it after `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while not self.try_lock(shared=shared):
            if time.monotonic() > deadline:
                self.close()
                raise StorageError(
                    f"{self.path} has been locked by another process for more than {timeout_s:.0f} s.",
                    "Find it with `fuser` or `lsof` on that file and end it.",
                )
            time.sleep(_POLL_S)

    @contextlib.contextmanager
    def held(self, *, timeout_s: float) -> Iterator[FileLock]:
        """Hold the lock exclusively for the length of a `with` block; errors as `lock`."""
        self.lock(timeout_s=timeout_s)
        try:
            yield self
        finally:
            self.close()

    def close(self) -> None:
        """Let the file go; the lock stays with programs that inherited the descriptor."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _forget_parents_locks() -> None:
    """In a forked child: close the inherited descriptors, which leaves the parent's locks as they are."""
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_forget_parents_locks)
