"""The roles of docker/ as plain processes for tests and benchmarks: a Redis, databases over TCP, `docker/local.py`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from celery import Celery
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from psycopg import sql

from regime_pipeline.settings import Settings
from regime_pipeline.storage.urls import dagster_url, database_name, with_database
from regime_pipeline_tests.conftest import REPOSITORY, SECOND_SERVER, fresh_database
from regime_pipeline_tests.e2e.regime_up import Up, free_port, is_listening, until

STOP_S = 40


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis of one's own on a free port of the loopback."""
    port = free_port()
    with redis_on(port):
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def redis_on(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis that knows nothing and keeps nothing; skips where there is no binary."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("there is no redis-server to test with")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def two_databases(server_url: str = SECOND_SERVER) -> Iterator[str]:
    """A fresh database of ours; Dagster's beside it, which whoever opens ours first makes, is dropped with it."""
    with fresh_database(server_url) as url:
        try:
            yield url
        finally:
            beside = sql.Identifier(f"{database_name(url)}_dagster")
            with psycopg.connect(server_url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(beside))


@contextmanager
def running_cluster(home: Path, markets: str, database: str, redis: str, workers: int) -> Iterator[Up]:
    """The roles on free ports over a home, a database and a Redis; they log to the home; none is left at the end."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "markets.toml").write_text(markets, "utf-8")
    port, code_port, api_port, site_port = (free_port() for _ in range(4))
    given = {"home": home, "database": database, "redis": redis, "workers": workers}
    given |= {"port": port, "api-port": api_port, "site-port": site_port}
    options = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    command = [sys.executable, str(REPOSITORY / "docker" / "local.py"), *options, "--code-port", str(code_port)]
    with (home / "roles.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=REPOSITORY,
            env={**os.environ, "REGIME_SENSORS": "off"},
        )  # fmt: skip
    settings = Settings(
        home=home,
        database_url=database,
        dagster_database_url=with_database(database, f"{database_name(database)}_dagster"),
    )
    up = Up(process, settings, f"http://127.0.0.1:{port}", api=f"http://127.0.0.1:{api_port}")
    try:
        until(300, lambda: is_listening(up), "the webserver's start")
        yield up
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop the roles; runs that go on after a while end with the second signal."""
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def doctor(settings: Settings, redis: str) -> dict[str, str]:
    """What `regime doctor` says of a deployment, by the name of each line."""
    done = subprocess.run(
        [Path(sys.executable).with_name("regime"), "doctor"],
        env={
            **os.environ, "COLUMNS": "2000", "REGIME_HOME": str(settings.home),
            "DAGSTER_HOME": str(settings.dagster_home), "REGIME_DATABASE_URL": settings.database_url or "",
            "REGIME_DAGSTER_DATABASE_URL": settings.dagster_database_url or "",
            "DAGSTER_PG_URL": dagster_url(settings.dagster_database_url or ""),
            "REGIME_CELERY_BROKER": f"{redis}/0", "REGIME_CELERY_BACKEND": f"{redis}/1",
        },
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return {name: said for _, name, said in (line.split(None, 2) for line in done.stdout.splitlines())}


def order(redis: str, command: str, workers: int = 2) -> int:
    """Tell every worker to `cancel_consumer` (take no further runs) or to `add_consumer`; how many have done so."""
    with Celery(broker=f"{redis}/0") as app:
        replies = app.control.broadcast(command, {"queue": "dagster"}, reply=True, timeout=5, limit=workers)
    return len(replies)


def runs_by_worker(redis: str, workers: int = 2) -> dict[str, int]:
    """How many runs each living worker has taken up so far; waits for so many answers, five seconds at most."""
    with Celery(broker=f"{redis}/0") as app:
        found = app.control.inspect(timeout=5, limit=workers).stats() or {}
    return {name: stats["total"].get(TASK_EXECUTE_JOB_NAME, 0) for name, stats in found.items()}
