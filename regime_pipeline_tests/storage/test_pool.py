"""The pool: whole-transaction retries on lost races and lost connections only, threads, forks."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage import pool as engine
from regime_pipeline.storage.pool import ConnectionPool


@pytest.fixture
def pool(database_url, monkeypatch):
    monkeypatch.setattr(engine, "_FIRST_PAUSE_S", 0.001)
    made = ConnectionPool(database_url)
    yield made
    made.close()


@pytest.fixture
def counters(pool):
    pool.transact(lambda cursor: cursor.execute("CREATE TABLE counter AS SELECT 0 AS n"))
    return pool


def count(pool):
    return pool.query(lambda cursor: cursor.execute("SELECT n FROM counter").fetchone()[0])


@pytest.mark.parametrize(
    "failure",
    [
        "RAISE serialization_failure",
        "RAISE deadlock_detected",
        "RAISE lock_not_available",
        "PERFORM pg_terminate_backend(pg_backend_pid())",
    ],
)
def test_a_passing_failure_runs_the_whole_transaction_again(counters, failure):
    attempts = []

    def work(cursor):
        attempts.append(1)
        cursor.execute("UPDATE counter SET n = n + 1")
        if len(attempts) < 3:
            cursor.execute(f"DO $$ BEGIN {failure}; END $$".encode())

    counters.transact(work)
    assert len(attempts) == 3
    assert count(counters) == 1


def test_a_lasting_failure_is_not_tried_again(counters):
    attempts = []

    def work(cursor):
        attempts.append(1)
        cursor.execute("UPDATE counter SET n = n + 1")
        cursor.execute("SELECT 1 / 0")

    with pytest.raises(StorageError, match=r"division by zero.*regime db status") as caught:
        counters.transact(work)
    assert isinstance(caught.value.__cause__, errors.DivisionByZero)
    assert len(attempts) == 1
    assert count(counters) == 0


def test_an_error_of_ours_rolls_back_and_passes_through(counters):
    def work(cursor):
        cursor.execute("UPDATE counter SET n = n + 1")
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        counters.transact(work)
    assert count(counters) == 0


def test_attempts_are_bounded(counters):
    attempts = []

    def work(cursor):
        attempts.append(1)
        cursor.execute("DO $$ BEGIN RAISE lock_not_available; END $$")

    with pytest.raises(StorageError, match=r"held the same table and market for too long.*Run it again"):
        counters.transact(work)
    assert len(attempts) == 6


def test_a_server_that_forgot_every_connection_is_met_again(counters):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: count(counters), range(8)))
    counters.query(
        lambda cursor: cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
    )
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: count(counters), range(8))) == [0] * 8


def test_a_server_out_of_reach_is_named_without_its_password(monkeypatch):
    monkeypatch.setattr(engine, "_FIRST_PAUSE_S", 0.0)
    gone = ConnectionPool("postgresql://me:secret@127.0.0.1:9/none")
    with pytest.raises(StorageError, match=r"me:\*\*\*@127.0.0.1:9") as caught:
        gone.query(lambda cursor: cursor.execute("SELECT 1"))
    assert "secret" not in str(caught.value)


def test_threads_share_the_pool_and_every_increment_counts(counters):
    def work(_):
        counters.transact(lambda cursor: cursor.execute("UPDATE counter SET n = n + 1"))

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(work, range(60)))
    assert count(counters) == 60


def test_a_lock_is_waited_for_in_vain_only_for_so_long(counters, database_url, monkeypatch):
    monkeypatch.setattr(engine, "_ATTEMPTS", 1)
    release = threading.Event()

    def hold():
        with psycopg.connect(database_url) as connection:
            connection.execute("LOCK TABLE counter")
            held.set()
            release.wait(10)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)

    def work(cursor):
        cursor.execute("SET LOCAL lock_timeout = '20ms'")
        cursor.execute("UPDATE counter SET n = n + 1")

    with pytest.raises(StorageError, match="too long"):
        counters.transact(work)
    release.set()
    holder.join()


def test_a_forked_child_uses_connections_of_its_own(counters, database_url):
    program = f"""
import os
from regime_pipeline.storage.pool import ConnectionPool
pool = ConnectionPool({database_url!r})
pid = lambda: pool.query(lambda cursor: cursor.execute("SELECT pg_backend_pid()").fetchone()[0])
mine = pid()
child = os.fork()
if child == 0:
    os._exit(0 if pid() != mine else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), pid() == mine)
pool.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "0 True"


def test_several_statements_are_answered_in_order(pool):
    sends = [lambda cursor, number=number: cursor.execute("SELECT %s::integer", (number,)) for number in range(3)]

    assert [cursor.fetchone() for cursor in pool.query_all(sends)] == [(0,), (1,), (2,)]
    assert pool.query_all([]) == []
    with pytest.raises(StorageError, match="division by zero"):
        pool.query_all([*sends, lambda cursor: cursor.execute("SELECT 1 / 0")])
    assert pool.query_all(sends)[2].fetchone() == (2,)
