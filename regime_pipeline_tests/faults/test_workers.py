"""Celery workers killed or asked to stop, two daemons at once, a Redis that forgets: every run succeeds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline_tests.e2e.cluster import redis_on, redis_server, running_cluster, two_databases
from regime_pipeline_tests.e2e.regime_up import Up, free_port, until
from regime_pipeline_tests.factories import assert_same_bytes, dump, run_stages, simulated_workspace

pytestmark = [pytest.mark.faults, pytest.mark.slow]

WINDOW = Window(to_ms("2026-01-01T00:00:00Z"), to_ms("2026-01-31T00:00:00Z"))
MARKET = """
[[markets]]
symbol = "{}-USDT"
timeframes = ["1m"]
source = "simulated"
"""
MARKETS = """
[partitions]
start = 2026-01-01T00:00:00Z
end = 2026-01-31T00:00:00Z
""" + "".join(MARKET.format(name) for name in ("ALFA", "BRAVO", "CHARLIE"))

AT_WORK = "SELECT dagster_run_id FROM runs GROUP BY dagster_run_id HAVING count(*) = 2"


@pytest.fixture
def cluster(home: Path, tcp_postgres_url: str) -> Iterator[Up]:
    with (
        redis_server() as redis,
        two_databases(tcp_postgres_url) as database,
        running_cluster(home, MARKETS, database, redis, workers=2) as up,
    ):
        yield up


def roles_of(up: Up, word: str) -> list[psutil.Process]:
    """Processes of a role, the leader of each first."""
    found = psutil.Process(up.process.pid).children()
    return [process for process in found if any(word in part for part in process.cmdline())]


def busy_worker(up: Up) -> tuple[int, str] | None:
    """A worker whose run has begun its second stage, and that run."""
    with psycopg.connect(up.settings.database_url or "") as connection:
        found = connection.execute(AT_WORK).fetchone()
    if found is None:
        return None
    family = psutil.Process(up.process_of(found[0])).parents()
    return next(process.pid for process in family if process.ppid() == up.process.pid), str(found[0])


def is_over(runs: list[dict[str, Any]], markets: set[str]) -> bool:
    """Whether no run goes on and every market has one that succeeded; two daemons may ask for a market twice."""
    succeeded = {
        tag["value"].partition("|")[2]
        for run in runs
        if run["status"] == "SUCCESS"
        for tag in run["tags"]
        if tag["key"] == "dagster/asset_partition_range_start"
    }
    return succeeded == markets and {run["status"] for run in runs} <= {"SUCCESS", "FAILURE"}


def launch(up: Up) -> set[str]:
    """Launch the whole backfill; return its markets."""
    up.launch_hours(WINDOW)
    return {str(market) for market in read_universe(up.settings).markets}


def await_the_end(up: Up, markets: set[str]) -> list[str]:
    """Wait until every market's run has succeeded and none goes on; return how the runs ended."""
    until(400, lambda: True if is_over(up.runs(), markets) else None, "the success of every market's run")
    return up.statuses()


def test_a_worker_that_is_asked_to_stop_finishes_its_run_first(cluster: Up) -> None:
    markets = launch(cluster)
    worker, run = until(180, lambda: busy_worker(cluster), "a run at work", 0.05)
    process = psutil.Process(worker)

    process.terminate()

    assert cluster.end_of(run) is None
    until(120, lambda: True if not process.is_running() else None, "the worker's end")
    assert cluster.end_of(run) == "SUCCESS"
    assert await_the_end(cluster, markets) == ["SUCCESS"] * len(markets)


def test_a_redis_that_forgets_everything_costs_no_run(home: Path, tcp_postgres_url: str) -> None:
    port = free_port()
    with (
        redis_on(port) as redis,
        two_databases(tcp_postgres_url) as database,
        running_cluster(home, MARKETS, database, f"redis://127.0.0.1:{port}", workers=2) as up,
    ):
        markets = launch(up)
        until(180, lambda: up.statuses().count("STARTED") == 2 or None, "two runs at work", 0.05)

        redis.kill()
        redis.wait()
        with redis_on(port):
            assert await_the_end(up, markets) == ["SUCCESS"] * len(markets)


def test_a_killed_worker_and_a_second_daemon(cluster: Up, database_url: str, tmp_path: Path) -> None:
    markets = read_universe(cluster.settings).markets
    (daemon,) = until(60, lambda: roles_of(cluster, "guarded.daemon") or None, "the daemon's start", 0.1)
    second = psutil.Popen(daemon.cmdline(), env=daemon.environ(), start_new_session=True)
    try:
        names = launch(cluster)
        worker, run = until(180, lambda: busy_worker(cluster), "a run at work", 0.05)
        os.killpg(worker, signal.SIGKILL)
        assert cluster.end_of(run) is None
        await_the_end(cluster, names)  # the second daemon may have handed the run to the other worker as well
    finally:
        os.killpg(second.pid, signal.SIGKILL)
        second.wait()
    with (
        open_workspace(cluster.settings) as ws,
        simulated_workspace(database_url, tmp_path, markets) as quiet,
    ):
        for market in markets:
            run_stages(quiet, market, [WINDOW])
            assert_same_bytes(dump(ws, market, WINDOW), dump(quiet, market, WINDOW))
