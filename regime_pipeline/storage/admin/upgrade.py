"""Moving the embedded cluster to the installed major version of PostgreSQL: dumped with the old, loaded into the new.

It happens only on request; a cluster of another major version is otherwise refused and left alone.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from regime_pipeline.domain.errors import MissingDataError, StorageError, UsageError
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.admin import pg_tools as client_programs
from regime_pipeline.storage.databases import DAGSTER_DATABASE, REGIMES_DATABASE, ensure_databases
from regime_pipeline.storage.embedded.binaries import MAJOR_VERSION
from regime_pipeline.storage.embedded.cluster import KEPT_PREFIX, Cluster
from regime_pipeline.storage.embedded.directory import ServerDirectory, existing_place, server_account
from regime_pipeline.storage.file_locks import FileLock
from regime_pipeline.storage.urls import with_database

_DATABASES = (REGIMES_DATABASE, DAGSTER_DATABASE)


@dataclass(frozen=True, slots=True)
class Moved:
    """A finished move: from which major version to which, and where the old cluster is kept."""

    old: int
    new: int
    kept: Path


def move_cluster(home: Path, account: str) -> Moved:
    """Move the embedded cluster of a home to the installed major version; the old one is kept beside it.

    The new cluster is built and filled aside, and takes the old one's place last: until then a failure changes nothing.
    Only our database and Dagster's move; roles made by hand are made again with `regime db roles`.

    Parameters
    ----------
    home : Path
        The project's home directory.
    account : str
        Account that runs the server when the caller is root.

    Raises
    ------
    MissingDataError
        The home has no cluster.
    UsageError
        The cluster is of the installed major version already.
    StorageError
        The old version's programs are not installed, the old server runs, or a step failed.
    """
    place = existing_place(home.absolute(), server_account(account))
    if place is None or not place.data.is_dir():
        raise MissingDataError(f"{home} has no embedded database.", "There is nothing to move.")
    version = Cluster(place).stored_major
    if version == MAJOR_VERSION:
        raise UsageError(f"The database of {home} is of PostgreSQL {version} already.", "There is nothing to move.")
    old = Cluster(place, version)
    kept = place.base / f"{KEPT_PREFIX}{version}"
    with old.exclusively() as start_lock:
        if old.has_processes() or kept.exists():
            reason = f"{kept} exists" if kept.exists() else "its server runs"
            raise StorageError(f"The database of {home} cannot be moved: {reason}.", "Stop or remove it first.")
        with _place_aside(place) as aside:
            _fill(Cluster(aside), old, start_lock)
            place.data.rename(kept)
            aside.data.rename(place.data)
    return Moved(version, MAJOR_VERSION, kept)


@contextlib.contextmanager
def _place_aside(place: ServerDirectory) -> Iterator[ServerDirectory]:
    """Give a place for the new cluster on the same file system; what is left there afterwards is removed."""
    base = place.base / "move"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    base.chmod(0o700 if place.account.is_self else 0o755)
    aside = ServerDirectory(base, place.account)
    try:
        yield aside
    finally:
        shutil.rmtree(aside.socket, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)


def _fill(new: Cluster, old: Cluster, old_lock: FileLock) -> None:
    """Copy the databases from one cluster to the other, both running; both are stopped afterwards."""
    with contextlib.ExitStack() as stack:
        stack.callback(old.stop, force=True)
        old.start(old_lock)
        new_lock = stack.enter_context(new.exclusively())
        stack.callback(new.stop)
        new.start(new_lock)
        for name in _DATABASES:
            _copy_database(with_database(old.url, name), with_database(new.url, name), new.place.base / f"{name}.dump")
        migrate.upgrade(with_database(new.url, REGIMES_DATABASE))


def _copy_database(source: str, target: str, dumped: Path) -> None:
    ensure_databases(source, target)
    with dumped.open("wb") as sink:
        client_programs.dump(source, sink)
    client_programs.load(target, dumped)
    dumped.unlink()
