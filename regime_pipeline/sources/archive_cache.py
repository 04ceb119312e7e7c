"""The archive's files on disk: each fetched once, verified against its CHECKSUM, resumed, renamed when whole.

Which files are wanted, and what their rows mean, do not belong here.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

from regime_pipeline.sources.archive_layout import CHECKSUM, DAY_MS
from regime_pipeline.sources.archive_transport import TransferError, Transport

_TRIES: Final = 2
_MAX_UNPACKED: Final = 1 << 26
_DIGEST: Final = re.compile(r"([0-9a-f]{64})\s")


class ArchiveCache:
    """A folder that mirrors what was fetched of an archive.

    Parameters
    ----------
    folder : Path
        Laid out like the archive; created when needed.
    transport : Transport
        Where files come from.
    clock : callable
        Returns now in epoch milliseconds UTC; a CHECKSUM is asked for again a day after it was last asked for.
    """

    def __init__(self, folder: Path, transport: Transport, clock: Callable[[], int]) -> None:
        self._folder = folder
        self._transport = transport
        self._clock = clock
        self._asked_ms: dict[str, int] = {}

    def get(self, path: str) -> Path | None:
        """Return the verified local copy of a file, fetched if it is new or replaced; None if it does not exist.

        Raises
        ------
        TransferError
            It cannot be fetched, or is not what its CHECKSUM says, or unpacks to an absurd size.
        """
        target = self._folder / path
        asked_ms = self._asked_ms.get(path)
        if asked_ms is not None and self._clock() - asked_ms < DAY_MS and target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            digest = self._digest(path)
            if digest is None:
                return None
            if self._is_there(target, digest) or self._fetch(path, target, digest):
                self._asked_ms[path] = self._clock()
                return target
        raise TransferError(f"{self._transport.url(path)} does not match its {CHECKSUM} file")

    def has(self, path: str) -> bool:
        """Return whether a copy of the file is here already."""
        return (self._folder / path).exists()

    def _digest(self, path: str) -> str | None:
        """Return the sha256 that the archive publishes for a file; None if it publishes none."""
        part = self._folder / f"{path}{CHECKSUM}.{uuid4().hex}.part"
        try:
            if not self._transport.download(path + CHECKSUM, part):
                return None
            match = _DIGEST.match(part.read_text("ascii", "replace"))
        finally:
            part.unlink(missing_ok=True)
        if match is None:
            raise TransferError(f"{self._transport.url(path + CHECKSUM)} holds no sha256")
        return match[1]

    def _is_there(self, target: Path, digest: str) -> bool:
        return target.exists() and _sha256(target) == digest

    def _fetch(self, path: str, target: Path, digest: str) -> bool:
        """Fetch a file, continuing what an interrupted run left; False if it has another digest."""
        part = target.with_name(f"{target.name}.{digest[:16]}.part")
        if not self._transport.download(path, part):
            raise TransferError(f"{self._transport.url(path)} is absent, but its {CHECKSUM} file is there")
        if _sha256(part) != digest:
            part.unlink()
            return False
        try:
            _refuse_bomb(part, self._transport.url(path))
        except TransferError:
            part.unlink()
            raise
        os.replace(part, target)
        return True


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse_bomb(path: Path, url: str) -> None:
    """Refuse a zip that is damaged or unpacks to more than any candle file; members end at their declared size."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise TransferError(f"{url} is damaged: {error}") from error
    if len(members) != 1 or members[0].file_size > _MAX_UNPACKED:
        size = sum(member.file_size for member in members)
        raise TransferError(f"{url} holds {len(members)} files of {size:,} bytes, not one candle file")
