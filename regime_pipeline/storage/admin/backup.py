"""Backups: one archive of both databases with its schema revision and checksums, written whole and restored whole.

Snapshot files are not part of a backup. See `pg_tools` for dumping and loading one database.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Final, Literal

import psycopg
from psycopg import sql
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.admin import pg_tools as client_programs
from regime_pipeline.storage.databases import DatabaseUrls, server_version
from regime_pipeline.storage.urls import libpq_url, redacted

_MANIFEST: Final = "manifest.json"
_MANIFEST_BYTES: Final = 1 << 16
_CHUNK: Final = 1 << 20
_DumpName = Literal["regimes.dump", "dagster.dump"]
_FILLED_BY_INSTALLING: Final = frozenset(
    {migrate.VERSION_TABLE, "regime_state", "policy", "alembic_version", "instance_info", "secondary_indexes"}
    | {"daemon_heartbeats"}
)
"""Tables that hold rows although nothing was ever done with the database."""
_TABLES: Final = (
    "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY relname"
)
_END_BYTES: Final = 22
_END_MARK: Final = b"PK\x05\x06"
"""A ZIP file without a comment ends with its last record, of this length."""
_ANOTHER: Final = "Take another backup of the same database, or fetch this one again."


class DumpEntry(BaseModel):
    """One dump of an archive: its size and checksum."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What an archive says of itself.

    Parameters
    ----------
    format : int
        Of the archive; 1.
    created_at, package_version, server_version : str
        When (ISO-8601, UTC), and by what versions of this package and of PostgreSQL.
    schema_revision : str
        Revision of our schema within.
    dumps : dict
        Size and checksum of each dump.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    created_at: str
    package_version: str
    server_version: str
    schema_revision: str
    dumps: dict[_DumpName, DumpEntry] = Field(min_length=2)


def write_backup(urls: DatabaseUrls, path: Path) -> Manifest:
    """Write both databases into one archive; the file appears whole or not at all, while work goes on.

    Parameters
    ----------
    urls : DatabaseUrls
        Our database and Dagster's; each is dumped as of one moment.
    path : Path
        The archive; must not exist yet.

    Raises
    ------
    UsageError
        The file exists, or its folder does not.
    StorageError
        There is no schema of ours to back up, or a server refused.
    """
    if path.exists() or not path.parent.is_dir():
        state = "exists already" if path.exists() else "is in a folder that does not exist"
        raise UsageError(f"{path} {state}.", "Name a new file in an existing folder.")
    revision = migrate.current(urls.regimes)
    if revision is None:
        raise StorageError(f"The database {redacted(urls.regimes)} has no schema yet.", "There is nothing to back up.")
    with _appearing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        dumps = {name: _add_dump(archive, name, url) for name, url in _dumped(urls)}
        manifest = Manifest(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            package_version=metadata.version("regime-pipeline"),
            server_version=server_version(urls.regimes),
            schema_revision=revision,
            dumps=dumps,
        )
        archive.writestr(_MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


def restore_backup(urls: DatabaseUrls, path: Path, *, is_replacing: bool = False) -> Manifest:
    """Make both databases what an archive holds, and bring our schema to this version's revision.

    Everything is verified before anything is written; each database changes in one transaction.

    Parameters
    ----------
    urls : DatabaseUrls
        Existing databases.
    path : Path
        What `write_backup` wrote.
    is_replacing : bool
        Also where the databases hold data, which is lost.

    Raises
    ------
    StorageError
        The archive is damaged or newer than this version, the databases hold data, or a server refused.
    """
    with tempfile.TemporaryDirectory(prefix="regime-restore-") as folder:
        manifest = _verified(path, Path(folder))
        if not is_replacing:
            for _, url in _dumped(urls):
                _refuse_data(url)
        for name, url in _dumped(urls):
            client_programs.load(url, Path(folder) / name)
    migrate.upgrade(urls.regimes)
    _forget_snapshots(urls.regimes)
    return manifest


def _forget_snapshots(url: str) -> None:
    """Let the first run claim the snapshots that are there: an archive holds none, and may be restored elsewhere."""
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("DELETE FROM snapshot_store")


def _dumped(urls: DatabaseUrls) -> tuple[tuple[_DumpName, str], ...]:
    return ("regimes.dump", urls.regimes), ("dagster.dump", urls.dagster)


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """Give a private file that takes its name, synced, when the block succeeds, and else vanishes."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}.", "Choose another place.") from error
    finally:
        part.unlink(missing_ok=True)


class _Hashed:
    """A sink that counts and hashes what passes through."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink, self._hash, self._bytes = sink, hashlib.sha256(), 0

    def write(self, chunk: bytes) -> int:
        self._hash.update(chunk)
        self._bytes += len(chunk)
        return self._sink.write(chunk)

    @property
    def entry(self) -> DumpEntry:
        return DumpEntry(bytes=self._bytes, sha256=self._hash.hexdigest())


def _add_dump(archive: zipfile.ZipFile, name: str, url: str) -> DumpEntry:
    with archive.open(name, "w", force_zip64=True) as member:
        sink = _Hashed(member)
        client_programs.dump(url, sink)  # type: ignore[arg-type]
    return sink.entry


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_more(path, archive)
            yield archive
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        raise StorageError(f"{path} is not a valid backup: {error}.", _ANOTHER) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # the archive's own directory points before its start: it was cut
            raise StorageError(f"{path} is not a valid backup: a part of it is missing.", _ANOTHER) from error
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error


def _refuse_more(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse bytes before or after the archive: its format lets them be, a backup has none."""
    with path.open("rb") as file:
        file.seek(-_END_BYTES, os.SEEK_END)
        is_whole = file.read(4) == _END_MARK and not archive.comment
    if not is_whole or min((info.header_offset for info in archive.infolist()), default=0):
        raise StorageError(f"{path} is not a valid backup: it holds bytes that belong to no part of it.", _ANOTHER)


def _manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    with archive.open(_MANIFEST) as member:
        text = member.read(_MANIFEST_BYTES)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "its text"
        raise StorageError(f"{path}: its manifest is not sound ({where}: {fault['msg']}).", _ANOTHER) from error
    migrate.refuse_newer(manifest.schema_revision, f"The backup {path}")
    return manifest


def _verified(path: Path, folder: Path) -> Manifest:
    """Extract the dumps, comparing each with its entry in the manifest."""
    with _opened(path) as archive:
        manifest = _manifest(archive, path)
        for name, entry in manifest.dumps.items():
            member = archive.getinfo(name)
            if member.file_size != entry.bytes or member.compress_type != zipfile.ZIP_STORED:
                raise StorageError(f"{path}: {name} has another size than its manifest says.", _ANOTHER)
            with archive.open(name) as source, (folder / name).open("wb") as file:
                sink = _Hashed(file)
                shutil.copyfileobj(source, sink, _CHUNK)
            if sink.entry != entry:
                raise StorageError(f"{path}: {name} does not match its checksum.", _ANOTHER)
    return manifest


def _refuse_data(url: str) -> None:
    try:
        with psycopg.connect(libpq_url(url)) as connection:
            for (table,) in connection.execute(_TABLES).fetchall():
                query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier("public", table))
                if table not in _FILLED_BY_INSTALLING and connection.execute(query).fetchone() == (True,):
                    raise StorageError(
                        f"The database {redacted(url)} contains data (table {table}).",
                        "Restore into an empty one, or add --replace to lose what is there.",
                    )
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StorageError(f"{redacted(url)} refused: {reason}.", "Check `regime db status`.") from error
