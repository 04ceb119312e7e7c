"""A backfill over two Celery workers: both work, nothing runs twice, and the tables are those of one process."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.settings import Settings
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline_tests.e2e.cluster import (
    doctor,
    order,
    redis_server,
    running_cluster,
    runs_by_worker,
    two_databases,
)
from regime_pipeline_tests.e2e.regime_up import Up, until
from regime_pipeline_tests.factories import assert_same_bytes, dump, run_stages

pytestmark = [pytest.mark.faults, pytest.mark.slow]

WINDOW = Window(to_ms("2026-01-01T00:00:00Z"), to_ms("2026-01-03T00:00:00Z"))
MARKETS = """
[partitions]
start = 2026-01-01T00:00:00Z
end = 2026-01-03T00:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1m", "1h"]
source = "simulated"

[[markets]]
symbol = "BRAVO-USDT"
timeframes = ["15m", "4h"]
source = "simulated"
"""
ANOTHER = """
[[markets]]
symbol = "CHARLIE-USDT"
timeframes = ["1h"]
source = "simulated"
"""
MATERIALIZED = """SELECT asset_key, partition, count(*) FROM event_logs
WHERE dagster_event_type = 'ASSET_MATERIALIZATION' GROUP BY asset_key, partition"""


@pytest.fixture
def redis() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def cluster(tmp_path: Path, tcp_postgres_url: str, redis: str) -> Iterator[Up]:
    with (
        two_databases(tcp_postgres_url) as database,
        running_cluster(tmp_path / "home", MARKETS, database, redis, workers=2) as up,
    ):
        yield up


def build_in_this_process(settings: Settings) -> None:
    """The same markets and hours, without Dagster."""
    upgrade(settings.database_url or "")
    with open_workspace(settings) as workspace:
        for market in workspace.universe.markets:
            run_stages(workspace, market, [WINDOW])


def test_two_workers_share_a_backfill(cluster: Up, redis: str, tcp_postgres_url: str, tmp_path: Path) -> None:
    markets = read_universe(cluster.settings).markets
    keys = [partition_key(market, hour) for market in markets for hour in WINDOW.hours.tolist()]
    assert order(redis, "cancel_consumer") == 2
    cluster.launch_hours(WINDOW)
    until(120, lambda: cluster.statuses().count("STARTING") == 2 or None, "two runs in the broker")
    assert order(redis, "add_consumer") == 2  # each does one run at a time, so neither can take both
    with two_databases(tcp_postgres_url) as database:
        single = Settings(home=tmp_path / "single", markets=cluster.settings.markets, database_url=database)
        build_in_this_process(single)
        await_and_compare(cluster, redis, keys, single)
    add_a_market(cluster)
    a_slip_in_the_list_stops_nothing(cluster, redis)


def await_and_compare(cluster: Up, redis: str, keys: list[str], single: Settings) -> None:
    """Every run ends well on both workers, every partition is recorded once, every byte is the single build's."""
    markets = read_universe(cluster.settings).markets

    def finished() -> bool | None:
        found = cluster.statuses()
        assert not {"FAILURE", "CANCELED"} & set(found)
        return True if found == ["SUCCESS"] * len(markets) else None

    until(240, finished, "the end of every market's run")
    taken = runs_by_worker(redis)
    assert sum(taken.values()) == len(markets)
    assert min(taken.values()) > 0
    with psycopg.connect(cluster.settings.dagster_database_url or "") as connection:
        materialized = connection.execute(MATERIALIZED).fetchall()
    assert {(f'["{stage.name}"]', key, 1) for stage in STAGES for key in keys} == set(materialized)
    with urllib.request.urlopen(f"{until_ready(cluster)}/api/markets", timeout=30) as answer:
        assert len(json.load(answer)) == len(markets)
    with open_workspace(cluster.settings) as many, open_workspace(single) as one:
        for market in markets:
            assert_same_bytes(dump(many, market, WINDOW), dump(one, market, WINDOW))


def add_a_market(cluster: Up) -> None:
    """A market that is listed later runs on workers that were there before it."""
    before = len(cluster.runs())
    with cluster.settings.markets.open("a", encoding="utf-8") as file:
        file.write(ANOTHER)
    cluster.reload("regime_pipeline")
    *_, new = read_universe(cluster.settings).markets
    cluster.launch_backfill([partition_key(new, hour) for hour in WINDOW.hours[:2].tolist()])
    until(120, lambda: cluster.statuses() == ["SUCCESS"] * (before + 1) or None, "the new market's run")
    with open_workspace(cluster.settings) as ws:
        assert len(ws.warehouse.read_range("regime_verdicts", new, WINDOW)["hour_start"]) == 2


def until_ready(cluster: Up) -> str:
    """Address of the role that serves the API, once it answers."""

    def ready() -> str | None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{cluster.api}/readyz", timeout=5).close()
            return cluster.api
        return None

    return until(60, ready, "the API")


def a_slip_in_the_list_stops_nothing(cluster: Up, redis: str) -> None:
    """A broken list leaves code location and workers with the one before; `doctor` says so, and names the workers."""
    before, markets = len(cluster.runs()), cluster.settings.markets
    sound = markets.read_text("utf-8")
    *_, newest = read_universe(cluster.settings).markets
    markets.write_text(sound + "[[markets]", "utf-8")
    cluster.reload("regime_pipeline")
    cluster.launch_backfill([partition_key(newest, hour) for hour in WINDOW.hours[2:4].tolist()])
    until(120, lambda: cluster.statuses() == ["SUCCESS"] * (before + 1) or None, "a run with the last sound list")
    assert "Dagster goes on with the list of" in doctor(cluster.settings, redis)["markets"]
    markets.write_text(sound, "utf-8")
    cluster.reload("regime_pipeline")
    assert doctor(cluster.settings, redis)["workers"].startswith("2 answer: ")
