"""Connections of one process: a lazy, thread-safe pool of psycopg connections, and whole-transaction retries.

See `bulk` and the stores beside this module for what runs on a connection.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from threading import Lock
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from sqlalchemy.pool import QueuePool

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.bulk.copy_format import register_array_loaders
from regime_pipeline.storage.urls import libpq_url, redacted

Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]
_Result = TypeVar("_Result")
_ATTEMPTS: Final = 6
_ATTEMPTS_TO_REACH: Final = 9
"""For a server that went away; pauses double, so thirteen seconds on average: one that crashed is back by then."""
_FIRST_PAUSE_S: Final = 0.05
_RETRIED: Final = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
_POOL_SIZE: Final = 16
"""Kept once they were needed: to open another takes twenty times as long as what is asked on it."""
_POOL_OVERFLOW: Final = 16
_SESSION: Final = "SET TimeZone = 'UTC'; SET jit = off"


class ConnectionPool:
    """Connections to one database, opened when first needed; forked children get a pool of their own.

    Parameters
    ----------
    url : str
        PostgreSQL URL in any spelling.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._conninfo = libpq_url(url)
        self._lock = Lock()
        self._pool: QueuePool | None = None
        self._owner = os.getpid()

    def transact(self, work: Callable[[Cursor], _Result]) -> _Result:
        """Run work in one READ COMMITTED transaction, and again if it lost against another or the server went away.

        Parameters
        ----------
        work : callable
            Takes a binary cursor; must be safe to run again from its start.

        Raises
        ------
        StorageError
            The database refused, or every attempt failed.
        """
        return self._retried(lambda connection: _in_transaction(connection, work))

    def query(self, work: Callable[[Cursor], _Result]) -> _Result:
        """Run a single reading statement outside a transaction (one round trip); errors as `transact`."""
        return self._retried(lambda connection: work(connection.cursor(binary=True)))

    def query_all(self, sends: Sequence[Callable[[Cursor], object]]) -> list[Cursor]:
        """Run several reading statements in one round trip; errors as `transact`, of one statement or another.

        Parameters
        ----------
        sends : sequence of callable
            Each executes a statement on a binary cursor of its own and fetches nothing.

        Returns
        -------
        list of Cursor
            What was executed on, in order, to fetch from: the answers have arrived.
        """

        def work(connection: Connection) -> list[Cursor]:
            cursors = [connection.cursor(binary=True) for _ in sends]
            with connection.pipeline():
                for cursor, send in zip(cursors, sends, strict=True):
                    send(cursor)
            return cursors

        return self._retried(work)

    def close(self) -> None:
        """Close every idle connection; the pool opens new ones when used again."""
        with self._lock:
            if self._pool is not None and self._owner == os.getpid():
                self._pool.dispose()
            self._pool = None

    def _retried(self, attempt: Callable[[Connection], _Result]) -> _Result:
        for number in count(1):
            try:
                with self._connection() as connection:
                    return attempt(connection)
            except psycopg.Error as error:
                is_lost = not isinstance(error, _RETRIED)
                if number >= (_ATTEMPTS_TO_REACH if is_lost else _ATTEMPTS) or not _is_passing(error):
                    raise self._refusal(error) from error
                if is_lost:
                    self.close()
            time.sleep(_FIRST_PAUSE_S * 2**number * random.random())  # noqa: S311 - jitter, no secret
        raise AssertionError("unreachable")

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        pool = self._ready_pool()
        lent = pool.connect()
        connection: Any = lent.driver_connection
        try:
            yield connection
        finally:
            if connection.closed or pool is not self._pool:  # closed by another thread meanwhile: nobody takes it back
                lent.invalidate()
            lent.close()

    def _ready_pool(self) -> QueuePool:
        with self._lock:
            if self._pool is None or self._owner != os.getpid():
                self._owner = os.getpid()
                self._pool = QueuePool(self._open, pool_size=_POOL_SIZE, max_overflow=_POOL_OVERFLOW)
            return self._pool

    def _open(self) -> Any:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        try:
            connection.execute(_SESSION)
            register_array_loaders(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _refusal(self, error: psycopg.Error) -> StorageError:
        """Say what the database refused, without passwords."""
        what = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, errors.UndefinedTable):
            return StorageError(
                f"The database {redacted(self._url)} lacks a table: {what[0]}.", "Run `regime db upgrade`."
            )
        if isinstance(error, errors.LockNotAvailable):
            return StorageError("Another writer held the same table and market for too long.", "Run it again.")
        return StorageError(
            f"The database {redacted(self._url)} refused: {what[0]}.", "Check the server with `regime db status`."
        )


def _in_transaction(connection: Connection, work: Callable[[Cursor], _Result]) -> _Result:
    with connection.transaction():
        return work(connection.cursor(binary=True))


def _is_passing(error: psycopg.Error) -> bool:
    """Is it worth another try: lost a race, or lost the connection."""
    is_lost = isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate[:2] in ("08", "57")
    )
    return isinstance(error, _RETRIED) or is_lost
