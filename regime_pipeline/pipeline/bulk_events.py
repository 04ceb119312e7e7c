"""Dagster's events in PostgreSQL, a batch in one transaction: COPY of what Dagster's own serializer makes of them.

Rows are those that Dagster's storage writes, byte for byte. See `dagster_storage` for who chooses between the two.
"""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import sqlalchemy as db
from dagster import DagsterEventType, EventLogEntry
from dagster import _check as check
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, BATCH_WRITABLE_EVENTS
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.event_log.event_log import CHANNEL_NAME
from dagster_postgres.utils import create_pg_connection
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from regime_pipeline.pipeline.event_texts import shared_text

EVENT_COLUMNS: Final = ("run_id", "event", "dagster_event_type", "timestamp", "step_key", "asset_key", "partition")
TAG_COLUMNS: Final = ("event_id", "asset_key", "key", "value", "event_timestamp")
_OF_ONE_ASSET: Final = ({DagsterEventType.ASSET_MATERIALIZATION}, {DagsterEventType.ASSET_OBSERVATION})
"""What Dagster stores as a batch: its last event alone updates the asset. Others it stores one by one."""
_ATTEMPTS: Final = 3
"""For a connection that breaks within a transaction; opening the next one is tried for seconds by Dagster itself."""
_ESCAPES: Final = (("\\", r"\\"), ("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t"))

_RESERVE: Final = db.text(
    "SELECT nextval(pg_get_serial_sequence('event_logs', 'id')) FROM generate_series(1, :rows),"
    " pg_advisory_xact_lock(:key)"
)
_BE_BRIEF: Final = db.text("SET LOCAL lock_timeout = '20s'")
_WAIT_FOR_THE_FIRST: Final = db.text("SELECT pg_advisory_xact_lock(:key)")
_IS_STORED: Final = db.text("SELECT true FROM event_logs WHERE id = :id AND run_id = :run_id AND event = :event")
_NOTIFY: Final = db.text("SELECT pg_notify(:channel, stored) FROM unnest(CAST(:stored AS text[])) AS stored")


@dataclass
class _Batch:
    """Events with their rows, serialized once however often writing is tried."""

    events: Sequence[EventLogEntry]
    rows: Sequence[Mapping[str, Any]]
    is_one_by_one: bool
    key: int = field(default_factory=lambda: secrets.randbits(63))
    """Of the lock that each try holds, so that the next one sees how it ended."""
    ids: list[int] = field(default_factory=list)
    """Those of the latest try."""

    @property
    def pairs(self) -> list[tuple[int, EventLogEntry]]:
        """The events with their ids."""
        return list(zip(self.ids, self.events, strict=True))


class BulkEventLogStorage(PostgresEventLogStorage):
    """Dagster's event storage with kept connections and one transaction a batch; the tables must exist.

    A batch is stored whole or not at all. Where the connection breaks it is written again, unless the transaction
    turns out to have been committed: the server's answer may be lost on the way, and nothing is stored twice.

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
        self._errors = (DBAPIError, engine.dialect.loaded_dbapi.OperationalError)
        """Of a lost connection: SQLAlchemy lets psycopg2's own through where a transaction begins."""
        self._open = threading.local()
        self._seen_tables: set[str] = set()
        self._seen_columns: set[str] = set()

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event with all that follows from it."""
        self._store(self._batch([event], is_one_by_one=True))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of the kinds that Dagster batches, with all that follows from them."""
        types = {event.get_dagster_event().event_type for event in events}
        check.invariant(types <= BATCH_WRITABLE_EVENTS, f"Only {BATCH_WRITABLE_EVENTS} are written in batches.")
        kept = [event for event in events if not event.get_dagster_event().is_asset_failed_to_materialize]
        if kept:
            self._store(self._batch(kept, is_one_by_one=types not in _OF_ONE_ASSET))

    def has_table(self, table_name: str) -> bool:
        """Whether the table exists; one that did is not looked for again."""
        if table_name not in self._seen_tables and super().has_table(table_name):
            self._seen_tables.add(table_name)
        return table_name in self._seen_tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        """Whether the assets' table has the column; Dagster asks the catalog some fifty times a run, we remember."""
        if column_name not in self._seen_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._seen_columns.add(column_name)
        return column_name in self._seen_columns

    def dispose(self) -> None:
        """Stop watching, and close the idle connection."""
        super().dispose()
        self._engine.dispose()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """Lend a connection; within a transaction of this thread its own, so that Dagster's methods join it."""
        joined = getattr(self._open, "connection", None)
        if joined is not None:
            yield joined
            return
        with create_pg_connection(self._engine) as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.index_transaction() as connection:
            self._open.connection = connection
            try:
                yield connection
            finally:
                self._open.connection = None

    def _batch(self, events: Sequence[EventLogEntry], is_one_by_one: bool) -> _Batch:
        return _Batch(events, self._rows(events), is_one_by_one)

    def _rows(self, events: Sequence[EventLogEntry]) -> list[Mapping[str, Any]]:
        """Return the events' rows as Dagster makes them; those like the first differ in three columns from its row."""
        first = self._event_to_row(events[0])
        shared = shared_text(events[0], first["event"]) if len(events) > 1 else None
        rows: list[Mapping[str, Any]] = [first]
        for event in events[1:]:
            text = None if shared is None else shared.text_of(event)
            if text is None:
                rows.append(self._event_to_row(event))
            else:
                partition = event.get_dagster_event().partition or None
                timestamp = self._event_insert_timestamp(event)  # type: ignore[no-untyped-call]
                rows.append({**first, "event": text, "timestamp": timestamp, "partition": partition})
        return rows

    def _store(self, batch: _Batch) -> None:
        for attempt in count(1):
            try:
                self._store_once(batch)
            except self._errors as error:
                if attempt == _ATTEMPTS or (isinstance(error, DBAPIError) and not error.connection_invalidated):
                    raise
            else:
                return

    def _store_once(self, batch: _Batch) -> None:
        with self._transaction() as connection:
            if not _is_stored(connection, batch):
                self._write(connection, batch)

    def _write(self, connection: Connection, batch: _Batch) -> None:
        reserved = connection.execute(_RESERVE, {"rows": len(batch.rows), "key": batch.key})
        batch.ids = [int(row[0]) for row in reserved]
        rows = [(event_id, *map(row.get, EVENT_COLUMNS)) for event_id, row in zip(batch.ids, batch.rows, strict=True)]
        _copy(connection, "event_logs", ("id", *EVENT_COLUMNS), rows)
        self._write_assets(connection, batch)
        for event_id, event in batch.pairs:
            if event.is_dagster_event and event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, event_id)
        if batch.is_one_by_one:
            stored = [f"{event.run_id}_{event_id}" for event_id, event in batch.pairs]
            connection.execute(_NOTIFY, {"channel": CHANNEL_NAME, "stored": stored})

    def _write_assets(self, connection: Connection, batch: _Batch) -> None:
        entries = [
            (row["asset_key"], event_id, event, row["timestamp"])
            for event_id, event, row in zip(batch.ids, batch.events, batch.rows, strict=True)
            if row["asset_key"] and event.dagster_event_type in ASSET_EVENTS
        ]
        tags = [
            (event_id, asset, key, value, timestamp)
            for asset, event_id, event, timestamp in entries
            for key, value in self._tags_for_asset_event(event).items()
        ]
        if tags and self.has_table("asset_event_tags"):
            _copy(connection, "asset_event_tags", TAG_COLUMNS, tags)
        if batch.is_one_by_one:
            entries.sort(key=lambda entry: entry[0])  # in one order everywhere: no two transactions block each other
        for _, event_id, event, _ in entries if batch.is_one_by_one else entries[-1:]:
            self._store_asset_event(connection, event, event_id)


def _is_stored(connection: Connection, batch: _Batch) -> bool:
    """Whether an earlier try was committed after all; waits until the server has ended that one."""
    if not batch.ids:
        return False
    connection.execute(_BE_BRIEF)
    connection.execute(_WAIT_FOR_THE_FIRST, {"key": batch.key})
    first = {"id": batch.ids[0], "run_id": batch.rows[0]["run_id"], "event": batch.rows[0]["event"]}
    return connection.execute(_IS_STORED, first).first() is not None


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = "".join("\t".join(map(_field, row)) + "\n" for row in rows)
    cursor: Any = connection.connection.cursor()
    with cursor:
        cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", io.StringIO(text))


def _field(value: Any) -> str:
    """Return a value in PostgreSQL's text form."""
    if value is None:
        return r"\N"
    text = str(value)
    for character, escaped in _ESCAPES:
        text = text.replace(character, escaped)
    return text
