"""Files of a bulk archive on this disk: fetched when they are wanted, verified, kept, and fetched again when replaced.

Which files hold a market's candles stands in `archive`; how one is requested stands in `archive_http`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from regime_pipeline.domain.errors import SourceError

VERIFIED_FOR_S: Final = 24 * 3_600.0
"""How long a kept file counts as verified; then its CHECKSUM is asked for again, since archives replace files."""
_TRIES: Final = 2
Get = Callable[[str], bytes | None]
"""Path below the archive's root to content; None where there is no such file."""


class ArchiveFiles:
    """The archive as it stands on this disk.

    Parameters
    ----------
    root : Path
        Where files are kept, in the archive's own tree.
    get : callable
        Asks the archive for a file; raises `SourceError`.
    clock : callable
        Gives seconds since the epoch.
    """

    def __init__(self, root: Path, get: Get, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._get = get
        self._clock = clock

    def file(self, path: str) -> Path | None:
        """Return a verified file; None where the archive has none.

        Raises
        ------
        SourceError
            The archive cannot be asked and nothing is kept, or file and CHECKSUM contradict each other twice.
        """
        kept = self._root / path
        if kept.is_file() and self._clock() - kept.stat().st_mtime < VERIFIED_FOR_S:
            return kept
        try:
            checksum = self._get(path + ".CHECKSUM")
        except SourceError:
            if kept.is_file():
                return kept
            raise
        if checksum is not None and kept.is_file() and _digest_of(checksum) == _sha256(kept.read_bytes()):
            os.utime(kept)
            return kept
        return self._fetched(path, checksum)

    def has_any(self, folder: str) -> bool:
        """Say whether a file of this folder is kept."""
        return any((self._root / folder).glob("*.zip"))

    def _fetched(self, path: str, checksum: bytes | None) -> Path | None:
        """Fetch a file and keep it if it is what its CHECKSUM says; both may be in the middle of being replaced."""
        for _ in range(_TRIES):
            content = self._get(path)
            if content is None or checksum is None:
                return None
            if _sha256(content) == _digest_of(checksum):
                return self._keep(path, content)
            checksum = self._get(path + ".CHECKSUM")
        raise SourceError(
            f"The archive's {path} does not match its CHECKSUM file.", "It is asked for again at the next run."
        )

    def _keep(self, path: str, content: bytes) -> Path:
        """Write under a temporary name and rename, so that a file that is there is whole."""
        kept = self._root / path
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f".{uuid4().hex}.part")
        try:
            part.write_bytes(content)
            part.replace(kept)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        return kept


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(checksum: bytes) -> str:
    """The first word of a `sha256  name` file."""
    return (checksum.decode("ascii", "replace").split() or [""])[0].lower()
