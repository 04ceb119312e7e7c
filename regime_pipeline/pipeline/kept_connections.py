"""Connections to Dagster's database that are kept open, and the run storage that uses them.

Dagster's own storage opens a connection for every event and for every look at a run. See `bulk_events` for events.
"""

from __future__ import annotations

import os
from typing import Final
from weakref import WeakSet

from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage.runs.schema import BulkActionsTable
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.utils import create_pg_engine
from dagster_shared.serdes import deserialize_value
from sqlalchemy import select
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

    Notes
    -----
    A backfill names every partition: of a year of twelve markets 840,960 times in eight assets. Dagster's daemon takes
    that text apart several times at each look; here that is done once for every text.
    """

    def __init__(self, postgres_url: str, engine: Engine) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False)
        self._engine = engine
        self._newest: tuple[str, PartitionBackfill] | None = None

    def get_backfill(self, backfill_id: str) -> PartitionBackfill | None:
        """Return what is stored of a backfill, None where there is none."""
        stored = self.fetchone(select(BulkActionsTable.c.body).where(BulkActionsTable.c.key == backfill_id))
        if stored is None:
            return None
        body, newest = str(stored["body"]), self._newest
        if newest is None or newest[0] != body:
            newest = (body, deserialize_value(body, PartitionBackfill))
            self._newest = newest
        return newest[1]

    def dispose(self) -> None:
        """Close the idle connection."""
        self._engine.dispose()


def _forget_the_parents() -> None:
    """Leave the parent's sockets alone: two processes on one connection read each other's answers."""
    for engine in list(_OPEN_ENGINES):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_the_parents)
