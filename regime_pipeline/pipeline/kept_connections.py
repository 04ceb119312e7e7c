"""Connections to Dagster's database that are kept open, and the run storage that uses them.

Dagster's own storage opens a connection for every event and for every look at a run. See `bulk_events` for events.
"""

from __future__ import annotations

import os
from typing import Final
from weakref import WeakSet

from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.utils import create_pg_engine
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool

_KEPT: Final = 1
"""Idle connections of one instance: what a run needs, and no more than the server can bear of many processes."""
_OPEN_ENGINES: Final[WeakSet[Engine]] = WeakSet()


def kept_engine(postgres_url: str) -> Engine:
    """Return an engine that keeps a connection for its next use; threads beside the first get passing ones.

    A connection is tried before it is handed out, so one that the server has dropped meanwhile is replaced. A forked
    child opens its own and leaves those of its parent alone.
    """
    engine = create_pg_engine(
        postgres_url,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=_KEPT,
        max_overflow=-1,
        pool_pre_ping=True,
    )
    _OPEN_ENGINES.add(engine)
    return engine


class KeptRunStorage(PostgresRunStorage):
    """Dagster's run storage on kept connections; the tables must exist.

    Parameters
    ----------
    postgres_url : str
        Dagster's database, `postgresql+psycopg2://`.
    engine : Engine
        That of `kept_engine`.
    """

    def __init__(self, postgres_url: str, engine: Engine) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False)
        self._engine = engine

    def dispose(self) -> None:
        """Close the idle connection."""
        self._engine.dispose()


def _forget_the_parents() -> None:
    """Leave the parent's sockets alone: two processes on one connection read each other's answers."""
    for engine in list(_OPEN_ENGINES):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_the_parents)
