"""Bytes out of plain, gzip, bzip2, xz and zip files, within limits, with damage named.

See `reader` for what the bytes mean.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from regime_pipeline.sources.files.table import BadFileError

MAX_BYTES: Final = 1 << 29
"""Most bytes that one file may hold unpacked: about ten years of one-minute archive rows."""
MAX_MEMBERS: Final = 5_000
_CHECKSUM_BYTES: Final = 1_024
_DAMAGE: Final = (
    *(zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError),
)
_OPENERS: Final[dict[str, Callable[[Path], Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MAGIC: Final = {
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\xfd7zXZ": ".xz",
    b"PK\x03\x04": ".zip",
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
    b"SQLite format 3": ".sqlite",
    b"\x89HDF": ".h5",
}
_OTHERS: Final = {
    ".tar": "Unpack it (tar xf FILE) and import the files inside.",
    ".tgz": "Unpack it (tar xf FILE) and import the files inside.",
    ".7z": "Unpack it (7z x FILE) and import the files inside.",
    ".rar": "Unpack it and import the files inside.",
    ".zst": "Unpack it (zstd -d FILE) and import the file inside.",
    ".sqlite": "Export the table: sqlite3 -header -csv FILE 'SELECT * FROM candles' > candles.csv",
    ".db": "Export the table: sqlite3 -header -csv FILE 'SELECT * FROM candles' > candles.csv",
    ".h5": "Convert it: python -c \"import pandas as pd; pd.read_hdf('FILE').to_csv('candles.csv')\"",
    ".pkl": "Convert it: python -c \"import pandas as pd; pd.read_pickle('FILE').to_csv('candles.csv')\"",
    ".xlsx": "Save the sheet as CSV UTF-8 and import that.",
    ".xls": "Save the sheet as CSV UTF-8 and import that.",
}


@dataclass(eq=False)
class Unpacked:
    """What a file holds, and which members of an archive were passed over."""

    path: Path
    members: Iterator[tuple[str, str, bytes]]
    skipped: list[str] = field(default_factory=list)


def unpack(path: Path, suffixes: Collection[str]) -> Unpacked:
    """Open a file: place, name without compression suffix, and content of each text in it.

    Parameters
    ----------
    path : Path
        A plain file, a `.gz`, `.bz2`, `.xz`, or a `.zip`, whose members come in the order of their names;
        `FILE.zip:MEMBER` chooses one.
    suffixes : collection of str
        Suffixes of members that can be candles; the others are passed over and listed.

    Raises
    ------
    BadFileError
        The file is absent, damaged, encrypted, empty, too large unpacked, or not what its CHECKSUM file says.
    """
    archive, member = _chosen_member(path)
    found = Unpacked(path, iter(()))
    found.members = _guarded(archive, _contents(archive, member, suffixes, found.skipped))
    return found


def _chosen_member(path: Path) -> tuple[Path, str]:
    """Split `FILE.zip:MEMBER`, where there is no file of the whole name."""
    text = str(path)
    at = text.lower().find(".zip:")
    if at < 0 or _is(path, "exists"):
        return path, ""
    return Path(text[: at + 4]), text[at + 5 :]


def _is(path: Path, question: str) -> bool:
    """Ask the file system about a path; what it cannot answer (a name too long, a NUL) is a no."""
    try:
        return bool(getattr(path, question)())
    except (OSError, ValueError):
        return False


def _guarded(path: Path, members: Iterator[tuple[str, str, bytes]]) -> Iterator[tuple[str, str, bytes]]:
    if _is(path, "is_dir"):
        raise BadFileError(f"{path} is a folder.", f"Name the files in it, for example {path}/*.csv.")
    try:
        _verify_checksum(path)
        yield from members
    except BadFileError:
        raise
    except _DAMAGE as error:
        raise BadFileError(f"{path} is damaged: {error}.", "Fetch or pack the file again.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        todo = (
            "Fetch or pack the file again." if isinstance(error, OSError) and error.errno is None else "Check the path."
        )
        raise BadFileError(f"{path} cannot be read: {reason}.", todo) from error


def _contents(
    path: Path, member: str, suffixes: Collection[str], skipped: list[str]
) -> Iterator[tuple[str, str, bytes]]:
    suffix = path.suffix.lower()
    name = path.name.lower()
    other = next((end for end in _OTHERS if name.endswith(end) or f"{end}." in name), "")
    if suffix == ".zip":
        yield from _unzip(path, member, suffixes, skipped)
    elif other and _is(path, "is_file"):
        raise BadFileError(f"{path} is a {other} file, which is not read.", _OTHERS[other].replace("FILE", str(path)))
    else:
        inner = path.stem if suffix in _OPENERS else path.name
        with _OPENERS.get(suffix, _plain)(path) as stream:
            content = _read(stream, str(path), MAX_BYTES)
        _refuse_disguised(path, PurePosixPath(inner).suffix.lower(), content)
        yield str(path), inner, content


def _refuse_disguised(path: Path, suffix: str, content: bytes) -> None:
    """Refuse a file that is of another kind than its name says, by its first bytes."""
    kind = next((end for magic, end in _MAGIC.items() if content.startswith(magic)), suffix)
    if kind != suffix and (kind, suffix) != (".parquet", ".pq"):
        name = path.name + kind if kind in _OPENERS else path.stem + kind
        raise BadFileError(f"{path} is a {kind} file by its content.", f"Rename it to {name} and import that.")


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _unzip(path: Path, wanted: str, suffixes: Collection[str], skipped: list[str]) -> Iterator[tuple[str, str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        members = _members(path, archive, wanted, suffixes, skipped)
        left = MAX_BYTES
        for member in members:
            place = f"{path}:{member.filename}"
            with archive.open(member) as stream:
                content = _read(stream, place, left)
            left -= len(content)
            yield place, PurePosixPath(member.filename).name, content


def _members(
    path: Path, archive: zipfile.ZipFile, wanted: str, suffixes: Collection[str], skipped: list[str]
) -> list[zipfile.ZipInfo]:
    """Return the members that can be candles; text beside other data (a README) is passed over."""
    members = sorted((m for m in archive.infolist() if _is_data(m)), key=lambda member: member.filename)
    if not members:
        raise BadFileError(f"{path} holds no files.", "Pack the CSV into it again.")
    if len(members) > MAX_MEMBERS:
        raise BadFileError(f"{path} holds more than {MAX_MEMBERS} files.", "Split the archive.")
    if wanted:
        chosen = [m for m in members if m.filename == wanted]
        if not chosen:
            names = ", ".join(m.filename for m in members[:10])
            raise BadFileError(f"{path} holds no {wanted}.", f"It holds {names}.")
        return chosen
    known = [m for m in members if PurePosixPath(m.filename).suffix.lower() in suffixes]
    data = [m for m in known if PurePosixPath(m.filename).suffix.lower() not in (".txt", ".json")]
    chosen = [m for m in known if not data or m in data] or members
    skipped += [m.filename for m in members if m not in chosen]
    return chosen


def _is_data(member: zipfile.ZipInfo) -> bool:
    """Leave out folders and what desktop systems add."""
    parts = PurePosixPath(member.filename).parts
    return not member.is_dir() and not any(part.startswith((".", "__MACOSX")) for part in parts)


def _read(stream: IO[bytes], place: str, limit: int) -> bytes:
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
