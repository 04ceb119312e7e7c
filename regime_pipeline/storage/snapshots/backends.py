"""Where snapshot files are stored, a local folder or any fsspec URL: bulk reads, and writes that overwrite nothing.

Names are relative paths with `/`. See `store` for names, `codec` for content.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import fsspec  # type: ignore[import-untyped]

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.file_locks import remove_leftovers, temporary_file

_TRIES: Final = 10
"""How often a file is written whose temporary file is taken away by a machine that does not see its lock."""
_TOGETHER: Final = 64
"""Files written before the first of them is synced; each holds a descriptor meanwhile."""
_READ_BYTES: Final = 1 << 16
DAY_LENGTH: Final = len("YYYY/MM/DD")


class NewestRevision(NamedTuple):
    """A newest revision: its number, from 1, and its bytes."""

    revision: int
    data: bytes


class Files(Protocol):
    """Immutable files under one root."""

    def newest(self, stems: Sequence[str]) -> list[NewestRevision | None]:
        """Return the newest revision of each stem, None where there is none."""
        ...

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the bytes of each file, None where there is no such file."""
        ...

    def names_in(self, folder: str) -> frozenset[str]:
        """Return what a folder holds, nothing where there is none."""
        ...

    def create(self, files: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Create each file whole and durably, or not at all; False where the name was already taken."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove files, and folders that hold nothing afterwards; what is not there is passed over."""
        ...


def revision_name(stem: str, revision: int) -> str:
    """Return the file of a revision: `stem.json`, `stem.r2.json`, `stem.r3.json`..."""
    return f"{stem}.json" if revision == 1 else f"{stem}.r{revision}.json"


def stem_of(market: Market, hour_start: str) -> str:
    """Return `YYYY/MM/DD/HH/ETH-USDT_1h`; both parts are validated values, so no path leaves the root."""
    return f"{hour_start[:13].replace('-', '/').replace('T', '/')}/{market.key}"


def open_files(root: str) -> Files:
    """Return the backend of a path or URL; `file://` URLs are local folders."""
    if "://" not in root or root.startswith("file://"):
        return LocalFiles(root.removeprefix("file://"))
    return UrlFiles(root)


class LocalFiles:
    """A folder of a local file system with hard links."""

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 - strings: a Path per file would double the reading time

    def newest(self, stems: Sequence[str]) -> list[NewestRevision | None]:
        """Probe revisions upward; they are dense, so no hour is listed, however many markets it holds.

        Each day is, for an hour without a folder costs as much as one with a file.
        """
        days = {day: self.names_in(day) for day in {stem[:DAY_LENGTH] for stem in stems}}
        return [
            _newest(f"{self._root}/{stem}")
            if stem[DAY_LENGTH + 1 : DAY_LENGTH + 3] in days[stem[:DAY_LENGTH]]
            else None
            for stem in stems
        ]

    def names_in(self, folder: str) -> frozenset[str]:
        """List a folder."""
        try:
            return frozenset(os.listdir(f"{self._root}/{folder}"))  # noqa: PTH208 - strings, as everywhere here
        except FileNotFoundError:
            return frozenset()

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """Read with bare system calls: a file object would double the time."""
        return [_read(f"{self._root}/{name}") for name in names]

    def create(self, files: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Write files under temporary names, sync them and link each to its name; sync the folders once."""
        placed = [(Path(self._root, name), data) for name, data in files]
        folders = {path.parent for path, _ in placed}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
        try:
            starts = range(0, len(placed), _TOGETHER)
            return [made for start in starts for made in _create_together(placed[start : start + _TOGETHER])]
        finally:
            _sync_folders(folders)

    def remove(self, names: Sequence[str]) -> None:
        """Remove files, then the folders that hold no other market's."""
        paths = [Path(self._root, name) for name in names]
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in paths}:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _newest(path: str) -> NewestRevision | None:
    """Return the last file; the first may be part of its day's since, so the second is looked for without it."""
    data = _read(revision_name(path, 1))
    revision = 1
    while os.access(following := revision_name(path, revision + 1), os.F_OK):
        revision, data = revision + 1, _read(following)
    return None if data is None else NewestRevision(revision, data)


def _read(path: str) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        data = os.read(handle, _READ_BYTES)
        while len(data) >= _READ_BYTES and (more := os.read(handle, _READ_BYTES)):
            data += more
    finally:
        os.close(handle)
    return data


def _create_together(files: Sequence[tuple[Path, bytes]]) -> list[bool]:
    """Create files whole and durably; False where a name is taken.

    All are written before the first is synced: the file system then writes its journal once, not once for each.
    """
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(temporary_file(path)) for path, _ in files]
        for file, (_, data) in zip(opened, files, strict=True):
            file.write(data)
            file.flush()
        for file in opened:
            os.fsync(file.fileno())
        return [_link(file.name, path, data) for file, (path, data) in zip(opened, files, strict=True)]


def _link(source: str, path: Path, data: bytes, tries_left: int = _TRIES - 1) -> bool:
    """Give a synced file its name unless it is taken: the one atomic step, so no revision is lost or half there.

    A file that was taken away meanwhile is written again.
    """
    try:
        path.hardlink_to(source)
    except FileExistsError:
        return False
    except FileNotFoundError:
        if not tries_left:
            raise
    else:
        return True
    with temporary_file(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return _link(file.name, path, data, tries_left - 1)


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class UrlFiles:
    """A root on any fsspec file system whose single-object writes are whole or nothing, as object stores' are."""

    def __init__(self, root: str) -> None:
        self._fs, path = fsspec.core.url_to_fs(root)
        self._root = path.rstrip("/")

    def newest(self, stems: Sequence[str]) -> list[NewestRevision | None]:
        """List each day once, one request where probing would be one per hour, then fetch all at once."""
        self._fs.invalidate_cache()
        listed: set[str] = set()
        for day in dict.fromkeys(stem[:DAY_LENGTH] for stem in stems):
            listed.update(self._fs.find(f"{self._root}/{day}"))
        revisions = [self._count(stem, listed) for stem in stems]
        names = [revision_name(stem, revision) for stem, revision in zip(stems, revisions, strict=True) if revision]
        fetched = iter(self.read(names))
        found = [(revision, next(fetched) if revision else None) for revision in revisions]
        return [None if data is None else NewestRevision(revision, data) for revision, data in found]

    def _count(self, stem: str, listed: set[str]) -> int:
        """Return the number of the last file; the first may be part of its day's since."""
        is_there = [f"{self._root}/{revision_name(stem, number)}" in listed for number in (1, 2)]
        revision = 2 if is_there[1] else int(is_there[0])
        while f"{self._root}/{revision_name(stem, revision + 1)}" in listed:
            revision += 1
        return revision

    def names_in(self, folder: str) -> frozenset[str]:
        """List what lies under a folder."""
        self._fs.invalidate_cache()
        place = f"{self._root}/{folder}/"
        return frozenset(path.removeprefix(place).partition("/")[0] for path in self._fs.find(place))

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """Fetch all at once; remote file systems do so concurrently."""
        paths = [f"{self._root}/{name}" for name in names]
        found: dict[str, Any] = self._fs.cat(paths, on_error="return") if paths else {}
        return [_bytes_or_none(found[path]) for path in paths]

    def create(self, files: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Put each object under the condition that there is none."""
        return [self._create(f"{self._root}/{name}", data) for name, data in files]

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; an object store has no folders."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(f"{self._root}/{name}")

    def _create(self, path: str, data: bytes) -> bool:
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            self._fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True


def _bytes_or_none(found: bytes | Exception) -> bytes | None:
    if isinstance(found, FileNotFoundError):
        return None
    if isinstance(found, Exception):
        raise found
    return found
