"""The embedded PostgreSQL server that several processes share: who is its client, when it starts, when it stops.

See `cluster` for one cluster, `storage.databases` for the databases in it.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from psycopg.pq import Ping

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded.cluster import Cluster
from regime_pipeline.storage.embedded.directory import (
    DEFAULT_ACCOUNT,
    Account,
    existing_place,
    make_place,
    server_account,
)
from regime_pipeline.storage.file_locks import FileLock

_ELSEWHERE: Final = (
    "Set REGIME_HOME to a folder that can be written to, or REGIME_DATABASE_URL to a PostgreSQL server of your own."
)


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of an embedded server, without starting it.

    Attributes
    ----------
    is_running : bool
        It takes connections.
    is_kept : bool
        It outlives its clients until `stop`.
    has_clients : bool
        Processes use it at this moment.
    directory : Path
        Where it keeps its files; need not exist yet.
    account : str
        Account that runs it.
    url : str or None
        Maintenance database in libpq form while it runs.
    postmaster_pid : int or None
        Its process while it runs.
    """

    is_running: bool
    is_kept: bool
    has_clients: bool
    directory: Path
    account: str
    url: str | None
    postmaster_pid: int | None


class EmbeddedServer:
    """The PostgreSQL server of a home directory, started by its first client and stopped by its last.

    Each client process holds a shared lock for its life, so that a killed client leaves no trace. Use `embedded_server`
    to get the one instance of a process; two instances count as two clients.

    Parameters
    ----------
    home : Path
        The project's home; the server lives in `home/postgres`.
    account : str, optional
        Unprivileged account that runs the server when the caller is root.
    """

    def __init__(self, home: Path, account: str = DEFAULT_ACCOUNT) -> None:
        self._home = home.absolute()
        self._account_name = account
        self._mutex = threading.RLock()
        self._cluster: Cluster | None = None
        self._client_lock: FileLock | None = None

    def attach(self) -> str:
        """Register this process as a client, start the server if necessary, and return its maintenance URL.

        A second call finds the process registered; it starts the server again if that was killed meanwhile.

        Returns
        -------
        str
            URL in libpq form of the database `postgres`, superuser, over a private socket.

        Raises
        ------
        StorageError
            The server cannot be made or started.
        UsageError
            The home belongs to another account, or the account to run it under is unfit.
        """
        with self._guarded():
            cluster = self._cluster
            if cluster is None or not self._is_attached or cluster.ping() is not Ping.OK:
                self._cluster = cluster = Cluster(make_place(self._home, self._account))
                with cluster.exclusively() as start_lock:
                    self._register(cluster)
                    cluster.start(start_lock)
            return cluster.url

    def release(self) -> None:
        """End this process's use of the server; the last client stops it unless it is kept.

        Does nothing when the process is not a client, such as a forked child of one.

        Raises
        ------
        StorageError
            The server did not stop.
        """
        with self._guarded():
            if self._cluster is None or not self._is_attached:
                self._client_lock = None
                return
            with self._cluster.exclusively():
                if self._leave(self._cluster) and not self._cluster.place.keep_marker.exists():
                    self._cluster.stop()

    def start_detached(self) -> str:
        """Start the server to stay until `stop`, whoever comes and goes; returns and raises as `attach`."""
        with self._guarded():
            cluster = Cluster(make_place(self._home, self._account))
            with cluster.exclusively() as start_lock:
                cluster.start(start_lock)
                cluster.place.keep_marker.touch()
            return cluster.url

    def stop(self, *, force: bool = False) -> bool:
        """Stop the server as soon as nobody uses it.

        Parameters
        ----------
        force : bool
            Stop it at once, disconnecting its clients.

        Returns
        -------
        bool
            True when it is stopped; False when clients still use it, the last of which will stop it.

        Raises
        ------
        StorageError
            The server did not stop.
        """
        with self._guarded():
            place = existing_place(self._home, self._account)
            if place is None:
                return True
            cluster = Cluster(place)
            with cluster.exclusively():
                place.keep_marker.unlink(missing_ok=True)
                if self._leave(cluster) or force:
                    cluster.stop(force=force)
                return not cluster.has_processes()

    def status(self) -> ServerStatus:
        """Report on the server, neither starting nor creating anything; errors as `attach`."""
        with self._guarded():
            account = self._account
            place = existing_place(self._home, account)
            if place is None:
                return ServerStatus(False, False, False, self._home / "postgres", account.name, None, None)
            cluster = Cluster(place)
            with cluster.exclusively():
                is_running = cluster.ping() is Ping.OK
                return ServerStatus(
                    is_running=is_running,
                    is_kept=place.keep_marker.exists(),
                    has_clients=self._is_attached or not _try_and_close(_clients_lock(cluster)),
                    directory=place.base,
                    account=account.name,
                    url=cluster.url if is_running else None,
                    postmaster_pid=cluster.postmaster_pid if is_running else None,
                )

    @property
    def _account(self) -> Account:
        return server_account(self._account_name)

    @property
    def _is_attached(self) -> bool:
        """Whether this very process is a client of the server that the home has now.

        A forked child finds its copy of the lock closed, and after the home was removed the lock is of no current file.
        """
        return self._client_lock is not None and self._client_lock.is_current

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """One thread at a time; what the operating system refuses is a `StorageError`."""
        try:
            with self._mutex:
                yield
        except OSError as error:
            why = f"{error.strerror} ({error.filename})" if error.filename else str(error)
            raise StorageError(f"The embedded PostgreSQL of {self._home} cannot be used: {why}.", _ELSEWHERE) from error

    def _register(self, cluster: Cluster) -> None:
        """Take the shared lock of a client; it is free of exclusive holders while the start lock is held."""
        if not self._is_attached:
            self._client_lock = _clients_lock(cluster)
            self._client_lock.lock(shared=True, timeout_s=1.0)

    def _leave(self, cluster: Cluster) -> bool:
        """Stop being a client, if one, and tell whether no other is left."""
        lock, self._client_lock = self._client_lock, None
        return _try_and_close(lock or _clients_lock(cluster))


@cache
def embedded_server(home: Path, account: str = DEFAULT_ACCOUNT) -> EmbeddedServer:
    """Return this process's instance for a home; it is released when the interpreter exits."""
    server = EmbeddedServer(home, account)
    atexit.register(_release_at_exit, server)
    return server


def _release_at_exit(server: EmbeddedServer) -> None:
    """Release without a traceback: the next client's release stops what this one could not."""
    with contextlib.suppress(StorageError):
        server.release()


def _clients_lock(cluster: Cluster) -> FileLock:
    return FileLock(cluster.place.lock_file("clients"))


def _try_and_close(lock: FileLock) -> bool:
    """Tell whether a lock could be had exclusively, keeping nothing."""
    with contextlib.closing(lock):
        return lock.try_lock()
