"""Bytes out of plain, gzip and zip files, within limits, with damage named.

What the bytes mean does not belong here.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from regime_pipeline.sources.files.table import BadFileError

MAX_BYTES: Final = 1 << 29
"""Most bytes that one file may hold unpacked: about ten years of one-minute archive rows."""
MAX_MEMBERS: Final = 5_000
_CHECKSUM_BYTES: Final = 1_024
_DAMAGE: Final = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def unpack(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield place, name without compression suffix, and content of each text in a file.

    Parameters
    ----------
    path : Path
        A plain file, a `.gz`, or a `.zip`, whose members are yielded in the order of their names.

    Raises
    ------
    BadFileError
        The file is absent, damaged, encrypted, empty, too large unpacked, or not what its CHECKSUM file says.
    """
    _verify_checksum(path)
    try:
        if path.suffix == ".zip":
            yield from _unzip(path)
        elif path.suffix == ".gz":
            with gzip.open(path) as stream:
                yield str(path), path.stem, _read(stream, str(path), MAX_BYTES)
        else:
            with path.open("rb") as stream:
                yield str(path), path.name, _read(stream, str(path), MAX_BYTES)
    except _DAMAGE as error:
        raise BadFileError(f"{path} is damaged: {error}.", "Fetch or pack the file again.") from error
    except OSError as error:
        raise BadFileError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error


def _unzip(path: Path) -> Iterator[tuple[str, str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        members = sorted((m for m in archive.infolist() if _is_data(m)), key=lambda member: member.filename)
        if not members:
            raise BadFileError(f"{path} holds no files.", "Pack the CSV into it again.")
        if len(members) > MAX_MEMBERS:
            raise BadFileError(f"{path} holds more than {MAX_MEMBERS} files.", "Split the archive.")
        left = MAX_BYTES
        for member in members:
            place = f"{path}:{member.filename}"
            with archive.open(member) as stream:
                content = _read(stream, place, left)
            left -= len(content)
            yield place, PurePosixPath(member.filename).name, content


def _is_data(member: zipfile.ZipInfo) -> bool:
    """Leave out folders and what desktop systems add."""
    parts = PurePosixPath(member.filename).parts
    return not member.is_dir() and not any(part.startswith((".", "__MACOSX")) for part in parts)


def _read(stream: IO[bytes] | gzip.GzipFile, place: str, limit: int) -> bytes:
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise BadFileError(f"{place} is larger than {MAX_BYTES >> 20} MiB unpacked.", "Split it, for example by year.")
    return content


def _verify_checksum(path: Path) -> None:
    """Compare with the `sha256  name` file that archives publish beside each zip, where there is one."""
    beside = path.with_name(path.name + ".CHECKSUM")
    if not (path.is_file() and beside.is_file()):
        return
    with path.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    with beside.open("rb") as file:
        stated = file.read(_CHECKSUM_BYTES).split()[:1]
    if stated != [actual.encode()]:
        raise BadFileError(
            f"{path} does not match {beside.name}.",
            "Fetch both again; remove the CHECKSUM file if it is known to be stale.",
        )
