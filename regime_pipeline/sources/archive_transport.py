"""Bytes from an archive's base: http, https, a `file://` URL or a folder; retried within bounds, sizes limited.

What a file means, and where it is kept, do not belong here.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

MAX_FILE_BYTES: Final = 1 << 26
"""Largest zip accepted; a month of one-minute candles has about 2 MiB."""
_ATTEMPTS: Final = 5
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 120.0
_TIMEOUT_S: Final = 30.0
_CHUNK: Final = 1 << 16
_TOO_MANY: Final = (418, 429)
_NETWORK: Final = (OSError, http.client.HTTPException)


class TransferError(Exception):
    """A URL could not be read; names it and the cause. `ArchiveSource` adds market and span."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How retries wait.

    Parameters
    ----------
    sleep : callable
        Waits for seconds.
    jitter : callable
        Returns a number in [0, 1), so that many clients do not return at once.
    """

    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


class Transport:
    """Reads files below one base.

    Parameters
    ----------
    base : str
        A URL (`http`, `https`, `file`) or the path of a folder; has no default.
    pace : Pace
        How retries wait.
    """

    def __init__(self, base: str, pace: Pace) -> None:
        parts = urlsplit(base)
        self._base = base.rstrip("/")
        self._folder = None if parts.scheme in ("http", "https") else _folder(base, parts.scheme, parts.path)
        self._pace = pace

    def url(self, path: str) -> str:
        """Return where a file is."""
        return f"{self._base}/{path}"

    def download(self, path: str, part: Path) -> bool:
        """Write a file of the archive to `part`, after the bytes that are there already; False if it does not exist.

        Raises
        ------
        TransferError
            It is too large, refused, or still fails after several tries.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return self._append(path, part)
            except HTTPError as error:
                with error:
                    if error.code in (404, 410):
                        return False
                    cause, pause_s = _judge(error, self.url(path))
                    if error.code == 416:  # the part is no beginning of the file
                        part.unlink(missing_ok=True)
            except _NETWORK as error:
                cause, pause_s = f"{type(error).__name__}: {error}", 0.0
            if attempt + 1 < _ATTEMPTS:
                self._pace.sleep(max(pause_s, _FIRST_PAUSE_S * 2**attempt * (1 + self._pace.jitter())))
        raise TransferError(f"{self.url(path)} failed {_ATTEMPTS} times: {cause}")

    def _append(self, path: str, part: Path) -> bool:
        if self._folder is not None:
            try:
                stream: IO[bytes] = (self._folder / path).open("rb")
            except FileNotFoundError:
                return False
            with stream, part.open("wb") as sink:
                self._copy(stream, sink, path)
            return True
        have = part.stat().st_size if part.exists() else 0
        request = Request(self.url(path), headers={"Range": f"bytes={have}-"} if have else {})
        with urlopen(request, timeout=_TIMEOUT_S) as reply, part.open("ab" if reply.status == 206 else "wb") as sink:
            if int(reply.headers.get("Content-Length") or 0) > MAX_FILE_BYTES:
                raise TransferError(f"{self.url(path)} is larger than {MAX_FILE_BYTES >> 20} MiB")
            self._copy(reply, sink, path)
            if reply.length:  # the peer hung up early
                raise http.client.IncompleteRead(b"", reply.length)
        return True

    def _copy(self, stream: IO[bytes], sink: IO[bytes], path: str) -> None:
        while chunk := stream.read(_CHUNK):
            if sink.tell() + len(chunk) > MAX_FILE_BYTES:
                raise TransferError(f"{self.url(path)} is larger than {MAX_FILE_BYTES >> 20} MiB")
            sink.write(chunk)


def _folder(base: str, scheme: str, path: str) -> Path:
    return Path(url2pathname(path)) if scheme == "file" else Path(base)


def _judge(error: HTTPError, url: str) -> tuple[str, float]:
    """Return cause and least pause of a failure worth another try; raise for one that is not."""
    cause = f"HTTP {error.code} {error.reason}"
    if error.code < 500 and error.code not in (*_TOO_MANY, 408, 416):
        raise TransferError(f"{url} was refused: {cause}") from error
    pause_s = 0.0
    with suppress(ValueError):
        pause_s = float(error.headers.get("Retry-After") or 0)
    if pause_s > _LONGEST_PAUSE_S:
        raise TransferError(f"{url}: {cause}, come back in {pause_s:.0f} s") from error
    return cause, pause_s
