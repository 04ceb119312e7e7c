"""Tests of `pipeline.bulk_events`: the rows of Dagster's own storage, each batch whole or not at all, and once."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._check import CheckError
from dagster._core.utils import make_new_run_id
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from regime_pipeline.pipeline.bulk_events import BulkEventLogStorage, _Batch
from regime_pipeline.pipeline.dagster_storage import RegimeDagsterStorage
from regime_pipeline.storage.urls import dagster_url
from regime_pipeline_tests.pipeline.dagster_events import ODD, recorded_calls, stored
from regime_pipeline_tests.pipeline.factories import ASSET, materialized


@pytest.fixture
def storage(database_url: str) -> Iterator[BulkEventLogStorage]:
    events = RegimeDagsterStorage(dagster_url(database_url)).event_log_storage
    assert isinstance(events, BulkEventLogStorage)
    yield events
    events.dispose()


def counts(url: str) -> tuple[int, ...]:
    return tuple(len(stored(url)[name]) for name in ("event_logs", "asset_event_tags", "asset_keys"))


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(statement)  # type: ignore[arg-type]
        return done.fetchall() if done.description else []


def end_all_connections(url: str) -> None:
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def test_rows_are_those_of_dagsters_own_storage(
    make_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = recorded_calls(monkeypatch)
    own, bulk = make_database(), make_database()
    for kind, url in ((DagsterPostgresStorage, own), (RegimeDagsterStorage, bulk)):
        events = kind(dagster_url(url)).event_log_storage
        for call in calls:
            call(events)
        events.dispose()

    expected = stored(own)
    assert stored(bulk) == expected
    kinds = Counter(row[3] for row in expected["event_logs"])
    batched = ("ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION_PLANNED", "ASSET_CHECK_EVALUATION_PLANNED")
    assert all(kinds[kind] for kind in (*batched, "ASSET_OBSERVATION", "ASSET_CHECK_EVALUATION", "STEP_FAILURE"))
    assert any(ODD in str(value) for row in expected["asset_event_tags"] for value in row)
    assert len(calls) < sum(kinds.values()), "some came as a batch"


def test_events_are_read_back_watched_and_notified(storage: BulkEventLogStorage, database_url: str) -> None:
    run_id, seen = make_new_run_id(), []
    events = materialized(3, run_id)
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN run_events")
        storage.store_event(events[0])
        (notified,) = listener.notifies(timeout=20, stop_after=1)
    storage.store_event_batch(events[1:])

    assert notified.payload == f"{run_id}_1"
    assert storage.get_logs_for_run(run_id) == events
    assert storage.get_latest_materialization_events([ASSET])[ASSET] == events[-1]
    arrived = threading.Event()

    def watch(event: dg.EventLogEntry, _: str) -> None:
        seen.append(event)
        if len(seen) == len(events):
            arrived.set()

    storage.watch(run_id, None, watch)
    assert arrived.wait(30)
    storage.end_watch(run_id, watch)
    assert seen == events


def test_pool_slots_are_dagsters_own(storage: BulkEventLogStorage) -> None:
    storage.set_concurrency_slots("exchange", 1)

    claims = [storage.claim_concurrency_slot("exchange", run, "step") for run in ("one", "two")]

    assert [claim.is_claimed for claim in claims] == [True, False]
    storage.free_concurrency_slots_for_run("one")
    assert storage.claim_concurrency_slot("exchange", "two", "step").is_claimed


def test_a_column_that_is_there_is_looked_for_once(
    storage: BulkEventLogStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    look = PostgresEventLogStorage._has_asset_key_col_on_connection

    def looked(self: PostgresEventLogStorage, conn: Connection, column_name: str) -> bool:
        asked.append(column_name)
        return look(self, conn, column_name)

    monkeypatch.setattr(PostgresEventLogStorage, look.__name__, looked)
    for _ in range(2):
        assert storage.has_asset_key_index_cols()
        assert not storage.has_asset_key_col("no_such_column")

    assert asked == ["last_materialization_timestamp", "no_such_column", "no_such_column"]


def test_a_connection_is_kept_and_a_dropped_one_replaced(storage: BulkEventLogStorage, database_url: str) -> None:
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    storage.store_event_batch(materialized(2))
    first = execute(database_url, others)
    storage.store_event_batch(materialized(2))
    assert execute(database_url, others) == first
    assert len(first) == 1

    end_all_connections(database_url)
    storage.store_event_batch(materialized(2))

    assert counts(database_url) == (6, 6, 1)
    assert execute(database_url, others) != first


def test_a_connection_that_breaks_within_a_batch_writes_it_again(
    storage: BulkEventLogStorage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_asset, tries = storage._store_asset_event, []

    def breaking(connection: Connection, event: dg.EventLogEntry, event_id: int) -> None:
        tries.append(event_id)
        if len(tries) == 1:
            end_all_connections(database_url)
        store_asset(connection, event, event_id)

    monkeypatch.setattr(storage, "_store_asset_event", breaking)

    storage.store_event_batch(materialized(5))

    assert len(tries) == 2
    assert counts(database_url) == (5, 5, 1)


def test_a_connection_that_breaks_between_the_ping_and_the_transaction_is_replaced(
    storage: BulkEventLogStorage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy lets psycopg2's own error through there."""
    connect, tries = storage._connect, []

    @contextmanager
    def breaking() -> Iterator[Connection]:
        with connect() as connection:
            tries.append(1)
            if len(tries) == 1:
                end_all_connections(database_url)
            yield connection

    monkeypatch.setattr(storage, "_connect", breaking)

    storage.store_event_batch(materialized(5))

    assert len(tries) > 1
    assert counts(database_url) == (5, 5, 1)


def test_a_connection_that_breaks_within_copy_writes_the_batch_again(
    storage: BulkEventLogStorage, database_url: str
) -> None:
    execute(database_url, "CREATE SEQUENCE tries")
    execute(
        database_url,
        "CREATE FUNCTION break_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('tries') = 3 THEN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$",
    )
    execute(database_url, "CREATE TRIGGER t BEFORE INSERT ON event_logs FOR EACH ROW EXECUTE FUNCTION break_once()")

    storage.store_event_batch(materialized(5))

    assert execute(database_url, "SELECT last_value FROM tries") == [(8,)]
    assert counts(database_url) == (5, 5, 1)


def test_a_lost_answer_to_a_commit_stores_nothing_twice(
    storage: BulkEventLogStorage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, tries = storage._store_once, []

    def losing_the_first_answer(batch: _Batch) -> None:
        store(batch)
        tries.append(batch.ids)
        if len(tries) == 1:
            raise OperationalError("COMMIT", {}, Exception("gone"), connection_invalidated=True)

    monkeypatch.setattr(storage, "_store_once", losing_the_first_answer)

    storage.store_event_batch(materialized(5))

    assert tries == [[1, 2, 3, 4, 5]] * 2
    assert counts(database_url) == (5, 5, 1)


def test_a_second_try_waits_for_the_end_of_the_first(storage: BulkEventLogStorage, database_url: str) -> None:
    batch = storage._batch(materialized(2), is_one_by_one=False)
    with storage._transaction() as connection:
        storage._write(connection, batch)
        assert execute(database_url, f"SELECT pg_try_advisory_xact_lock({batch.key})") == [(False,)]

    assert execute(database_url, f"SELECT pg_try_advisory_xact_lock({batch.key})") == [(True,)]


def test_a_connection_that_always_breaks_is_an_error_in_the_end(
    storage: BulkEventLogStorage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def breaking(*_: Any) -> None:
        tries.append(1)
        raise OperationalError("COPY", {}, Exception("gone"), connection_invalidated=True)

    monkeypatch.setattr(storage, "_store_asset_event", breaking)

    with pytest.raises(OperationalError, match="gone"):
        storage.store_event_batch(materialized(5))
    assert len(tries) == 3
    assert counts(database_url) == (0, 0, 0)


def test_what_the_server_refuses_leaves_nothing_behind(storage: BulkEventLogStorage, database_url: str) -> None:
    execute(database_url, "ALTER TABLE asset_keys ADD CHECK (last_run_id <> 'refused')")

    with pytest.raises(DBAPIError, match="violates check constraint"):
        storage.store_event_batch(materialized(3, "refused"))
    with pytest.raises(DBAPIError, match="violates check constraint"):
        storage.store_event(materialized(1, "refused")[0])

    assert counts(database_url) == (0, 0, 0)
    storage.store_event_batch(materialized(3, "fine"))
    assert counts(database_url) == (3, 3, 1)


def test_a_killed_process_leaves_nothing_of_its_batch(
    storage: BulkEventLogStorage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.store_event_batch(materialized(2))
    monkeypatch.setattr(storage, "_store_asset_event", lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    child = os.fork()
    if child == 0:
        storage.store_event_batch(materialized(50))
    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert counts(database_url) == (2, 2, 1)


def test_a_forked_child_leaves_the_connections_of_its_parent_alone(
    storage: BulkEventLogStorage, database_url: str
) -> None:
    storage.store_event_batch(materialized(2))
    parents = execute(
        database_url, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    child = os.fork()
    if child == 0:
        code = 1
        try:
            with storage._connect() as connection:
                is_own = (connection.connection.dbapi_connection.info.backend_pid,) not in parents  # type: ignore[union-attr]
            storage.store_event_batch(materialized(3))
            code = 0 if is_own else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    storage.store_event_batch(materialized(4))

    assert os.waitstatus_to_exitcode(status) == 0
    assert counts(database_url) == (9, 9, 1)
    with storage._connect() as connection:
        assert (connection.connection.dbapi_connection.info.backend_pid,) in parents  # type: ignore[union-attr]


def test_kinds_that_dagster_does_not_batch_are_refused(storage: BulkEventLogStorage, database_url: str) -> None:
    started = materialized(1)[0]._replace(dagster_event=dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "job"))

    with pytest.raises(CheckError, match="written in batches"):
        storage.store_event_batch([started])
    storage.store_event_batch([])

    assert counts(database_url) == (0, 0, 0)
