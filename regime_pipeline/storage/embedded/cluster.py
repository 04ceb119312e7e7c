"""One PostgreSQL cluster in its directory: created, started, queried and stopped.

Whoever changes something holds the start lock. See `server` for who may do so and when.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg.pq import PGconn, Ping

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded.binaries import MAJOR_VERSION, Programs, programs_for
from regime_pipeline.storage.embedded.directory import (
    SOCKET_NAME,
    ServerDirectory,
    account_name,
    make_private_directory,
)
from regime_pipeline.storage.file_locks import FileLock

_PATIENCE_S: Final = 150.0
_INITDB_S: Final = 120.0
_START_S: Final = 15.0
_STOP_S: Final = 60.0
_GONE_S: Final = 5.0
_POLL_S: Final = 0.02
_CONNECT_S: Final = 10
_LAUNCHES: Final = 3
_LOG_BYTES: Final = 4_000_000
_LOG_LINES: Final = 5
_SUPERUSER: Final = "postgres"
KEPT_PREFIX: Final = "data-"
"""What a cluster that was moved away from is renamed to, followed by its major version."""
_SETTINGS: Final = {
    "cluster_name": "regime_pipeline",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "jit": "off",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "client_connection_check_interval": "5s",
}


class Cluster:
    """The cluster in a place.

    A running server is known by the lock on `server.lock`, which all its processes inherit and the kernel drops with
    the last of them; so neither a zombie, nor a process number used again, nor a left `postmaster.pid` can mislead.

    Parameters
    ----------
    place : ServerDirectory
        Where it is.
    major : int, optional
        Major version of PostgreSQL to run it with; another than the default only to move away from it.
    """

    def __init__(self, place: ServerDirectory, major: int = MAJOR_VERSION) -> None:
        self.place = place
        self._major = major
        self._lock = FileLock(place.lock_file("server"))

    @property
    def url(self) -> str:
        """URL of the maintenance database, in libpq form, without a password (the socket's directory is private)."""
        return f"postgresql://{_SUPERUSER}@/postgres?host={quote(os.fsencode(self.place.socket), safe='/,:')}"

    def ping(self) -> Ping:
        """Ask whether the server takes connections, as `pg_isready` does."""
        if not self.place.has_socket_directory:
            return Ping.NO_RESPONSE
        return Ping(PGconn.ping(f"{self.url}&connect_timeout=3".encode()))

    def _is_answered_by_another(self) -> bool:
        """Whether the server that answers keeps its data elsewhere: that of another home, or ours before a move."""
        if self.ping() is not Ping.OK:
            return False
        try:
            with psycopg.connect(self.url, connect_timeout=_CONNECT_S, autocommit=True) as connection:
                (where,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        except psycopg.Error:
            return False  # it has just gone; `start` finds out
        return bool(os.path.realpath(str(where)) != os.path.realpath(self.place.data))

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[FileLock]:
        """Hold the start lock, which keeps every other process from making, starting and stopping the server.

        Raises
        ------
        StorageError
            Another process held it for minutes.
        """
        with FileLock(self.place.lock_file("start")).held(timeout_s=_PATIENCE_S) as start_lock:
            yield start_lock

    def has_processes(self) -> bool:
        """Whether any process of the server lives, be it starting, serving, stopping or orphaned."""
        is_free = self._lock.try_lock()
        self._lock.close()
        return not is_free

    @property
    def postmaster_pid(self) -> int | None:
        """Process number that the server wrote down, meaningful only while it has processes."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.place.data / "postmaster.pid").read_text("utf-8").split()[0])
        return None

    @property
    def stored_major(self) -> int:
        """Major version of PostgreSQL that made the cluster; raises `StorageError` where its files do not say."""
        try:
            return int((self.place.data / "PG_VERSION").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{self.place.data} is not a PostgreSQL cluster: {error}.", "Restore a backup."
            ) from error

    def start(self, start_lock: FileLock) -> None:
        """Make the server take connections, creating the cluster first if there is none.

        Raises
        ------
        StorageError
            It cannot be created or does not start; carries the end of the server's log.
        """
        if not self.place.has_socket_directory or self._is_answered_by_another():
            self.stop(force=True)  # a server that lost its socket, or was moved, cannot be used any more
            self.place.make_socket_directory()
        if self.ping() is not Ping.OK:
            programs = programs_for(self.place.account, self.place.base, self._major)
            self._initialise(programs, start_lock)
            self._start(programs)

    def stop(self, *, force: bool = False) -> None:
        """Stop the server, disconnecting its clients; a server that does not run is left in peace.

        Parameters
        ----------
        force : bool
            Also stop one that does not answer, at the price of a recovery at the next start.

        Raises
        ------
        StorageError
            It did not stop.
        """
        if not self.has_processes():
            return
        programs = programs_for(self.place.account, self.place.base, self._major)
        for mode in ("fast", "immediate") if force else ("fast",):
            self._pg_ctl_stop(programs, mode)
            if self._wait_until_gone(_GONE_S):
                return
        raise StorageError(f"The embedded PostgreSQL in {self.place.base} did not stop.{self._log_end()}")

    def _start(self, programs: Programs) -> None:
        launches, deadline = 0, time.monotonic() + _START_S
        while (answer := self.ping()) is not Ping.OK:
            if answer is Ping.REJECT:  # it recovers or shuts down: it is alive and says so
                deadline = time.monotonic() + _START_S
            elif self._lock.try_lock():
                if launches == _LAUNCHES:
                    self._lock.close()
                    raise StorageError(f"The embedded PostgreSQL in {self.place.base} does not start.{self._log_end()}")
                self._launch(programs)
                launches += 1
            elif time.monotonic() > deadline:
                raise StorageError(
                    f"The embedded PostgreSQL in {self.place.base} runs but does not answer.{self._log_end()}",
                    "Stop it with `regime db stop --force`.",
                )
            time.sleep(_POLL_S)

    def _launch(self, programs: Programs) -> None:
        """Start the postmaster with the server lock, which no process of a server holds at this moment."""
        with contextlib.closing(self._lock):
            self._remove_stale_files()
            self._cut_log()
            programs.launch(
                "postgres",
                *("-D", self.place.data),
                *("-c", "listen_addresses="),
                *("-c", f'unix_socket_directories="{self.place.socket}"'),
                *("-c", "port=5432"),
                *self._access_options(),
                log=self.place.log,
                keep_open=[self._lock.fileno()],
            )

    def _access_options(self) -> list[str]:
        """Let in whoever owns the home, and not the account that root has the server run under: services share it."""
        if self.place.account.is_self:
            return []  # the socket's directory is the owner's own
        owner = account_name(os.geteuid())
        rules = {"access.conf": "local all all peer map=owner\n", "owners.conf": f'owner "{owner}" all\n'}
        paths = [self.place.base / name for name in rules]
        for path, text in zip(paths, rules.values(), strict=True):
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)
        return ["-c", f"hba_file={paths[0]}", "-c", f"ident_file={paths[1]}"]

    def _remove_stale_files(self) -> None:
        """Remove what a killed server left; no process of a server lives, whatever processes the files name."""
        socket = self.place.socket
        for left in (self.place.data / "postmaster.pid", socket / SOCKET_NAME, socket / f"{SOCKET_NAME}.lock"):
            left.unlink(missing_ok=True)

    def _initialise(self, programs: Programs, start_lock: FileLock) -> None:
        """Create the cluster aside and rename it; a killed attempt leaves nothing that counts.

        The program inherits the start lock, so that it ends before another process tries even when this one is killed.
        """
        if self.place.data.is_dir():
            self._check_version()
            return
        if kept := sorted(self.place.base.glob(f"{KEPT_PREFIX}*")):
            raise StorageError(
                f"{self.place.base} has no cluster but one that was moved away from: {kept[0]}.",
                f"A move was cut off: rename {kept[0]} to {self.place.data} and run `regime db move` again.",
            )
        draft = self.place.base / "data.init"
        shutil.rmtree(draft, ignore_errors=True)
        make_private_directory(draft, self.place.account)
        done = programs.run(
            "initdb",
            *("--pgdata", draft, "--username", _SUPERUSER, "--auth", "trust", "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(f"--set={name}={value}" for name, value in _SETTINGS.items()),
            timeout_s=_INITDB_S,
            keep_open=[start_lock.fileno()],
        )
        if done.returncode != 0:
            raise StorageError(f"No database cluster could be made in {self.place.base}: {done.stdout.strip()[-600:]}")
        draft.rename(self.place.data)
        _sync(self.place.base)  # or a power cut could give the cluster, with its commits, its draft's name back

    def _check_version(self) -> None:
        version = self.stored_major
        if version != self._major:
            raise StorageError(
                f"{self.place.data} was made by PostgreSQL {version}, the installed programs are {self._major}.",
                "Move it with `regime db move`; the old cluster is kept.",
            )

    def _pg_ctl_stop(self, programs: Programs, mode: str) -> None:
        with contextlib.suppress(StorageError):
            programs.run(
                "pg_ctl", "stop", "-D", self.place.data, "-m", mode, "-t", f"{_STOP_S:.0f}", timeout_s=_STOP_S + 5
            )

    def _wait_until_gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.has_processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _cut_log(self) -> None:
        """Create the log for its owner's eyes, and keep one predecessor when it has grown large."""
        log = self.place.log
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        os.close(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))

    def _log_end(self) -> str:
        """Return the last lines of the log as the tail of a message."""
        with contextlib.suppress(OSError):
            lines = self.place.log.read_text("utf-8", errors="replace").splitlines()[-_LOG_LINES:]
            return "\n".join([" Its log ends:", *lines])
        return ""


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
