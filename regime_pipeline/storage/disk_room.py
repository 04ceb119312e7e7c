"""Room on the disks that a home is on: a full one is said in a sentence, before work that would stop half way.

What a full disk leaves is whole in any case (docs/operate.md, faults): this is about words. A database server that has
no room for its log ends, and its clients only see it gone.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from regime_pipeline.domain.errors import StorageError

LEAST_BYTES: Final = 64 << 20
"""Four segments of PostgreSQL's write-ahead log; with less it may end at any write."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK_FULL_STATE: Final = "53100"


def require_room(*places: Path) -> None:
    """Refuse to begin where a disk is nearly full.

    Parameters
    ----------
    *places : Path
        Folders that will be written to; of one that is not there yet, the nearest parent counts.

    Raises
    ------
    StorageError
        Less than 64 MiB are left on the disk of one of them; nothing has been written.
    """
    for place in places:
        left = _left(place)
        if left is not None and left < LEAST_BYTES:
            raise _full(place, left)


def room_fault(error: BaseException, *places: Path) -> StorageError | None:
    """Return the sentence for a failure that a full disk explains, None for any other."""
    for place in places:
        left = _left(place)
        if left is not None and left < LEAST_BYTES:
            return _full(place, left)
    if any(map(_says_full, _chain(error))):
        return StorageError(f"A disk is full: {error}.", "Free some space and run the same command again.")
    return None


def _full(place: Path, left: int) -> StorageError:
    return StorageError(
        f"The disk of {place} is full: {left >> 20:,} MiB are left, at least {LEAST_BYTES >> 20} are needed.",
        "Free some space and run the same command again; what is stored is whole.",
    )


def _left(place: Path) -> int | None:
    with suppress(OSError):
        usage = shutil.disk_usage(next(each for each in (place, *place.parents) if each.exists()))
        return usage.free if usage.total else None  # some network and virtual file systems tell neither
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        yield following
        seen.append(following)
        following = following.__cause__ or following.__context__


def _says_full(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state == _DISK_FULL_STATE or (isinstance(error, OSError) and error.errno in _FULL)
