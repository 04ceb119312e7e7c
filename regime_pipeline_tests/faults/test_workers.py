"""Two daemons at once and a Celery worker that is killed in the middle of a run: every market's run succeeds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from regime_pipeline.composition import open_workspace, read_universe
from regime_pipeline.domain.window import Window, to_ms
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline_tests.e2e.cluster_kit import redis_server, running_cluster, two_databases
from regime_pipeline_tests.e2e.up_kit import Up, until
from regime_pipeline_tests.workbench import assert_same_bytes, dump, run_stages, simulated_workspace

pytestmark = [pytest.mark.faults, pytest.mark.slow]

WINDOW = Window(to_ms("2026-01-01T00:00:00Z"), to_ms("2026-01-31T00:00:00Z"))
MARKETS = """
[partitions]
start = 2026-01-01T00:00:00Z
end = 2026-01-31T00:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1m", "15m", "1h"]
source = "simulated"
"""

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


def busy_worker(up: Up) -> int | None:
    """Leader of a worker whose run has begun its second stage."""
    with psycopg.connect(up.settings.database_url or "") as connection:
        found = connection.execute(AT_WORK).fetchone()
    if found is None:
        return None
    family = psutil.Process(up.process_of(found[0])).parents()
    return next(int(process.pid) for process in family if process.ppid() == up.process.pid)


def test_a_killed_worker_and_a_second_daemon(cluster: Up, database_url: str, tmp_path: Path) -> None:
    markets = read_universe(cluster.settings).markets
    (daemon,) = roles_of(cluster, "dagster-daemon")
    second = psutil.Popen(daemon.cmdline(), env=daemon.environ(), start_new_session=True)
    try:
        cluster.launch_backfill([partition_key(market, hour) for market in markets for hour in WINDOW.hours.tolist()])
        worker = until(180, lambda: busy_worker(cluster), "a run at work", 0.05)
        os.killpg(worker, signal.SIGKILL)

        def every_market() -> bool | None:
            done = {
                tag["value"].partition("|")[2]
                for run in cluster.runs()
                if run["status"] == "SUCCESS"
                for tag in run["tags"]
                if tag["key"] == "dagster/asset_partition_range_start"
            }
            return True if done == {str(market) for market in markets} else None

        until(400, every_market, "the success of every market's run")
        statuses = [str(run["status"]) for run in cluster.runs()]
        assert statuses.count("FAILURE") == 1, statuses
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
