"""Temporary files, held by a lock while their writer lives: the rests of killed writers are told without a clock.

What is written into them, and how they get their final name, does not belong here.
"""

from __future__ import annotations

import contextlib
import fcntl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


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


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that are gone; what cannot be locked or removed stays, and does no harm."""
    for path in folder.glob(".*.tmp"):
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
