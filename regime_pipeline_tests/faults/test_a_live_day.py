"""A day of hourly ticks in one process: no hour is missed, memory and connections stay as they were in the morning."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import dagster as dg
import psutil
import psycopg
import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.build import CHAIN_JOB, build_pipeline
from regime_pipeline.pipeline.instance import materialize_range, open_instance
from regime_pipeline.pipeline.sensors import build_sensors
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.storage.urls import dagster_url, database_name
from regime_pipeline_tests.factories import START, hours_from_start, run_stages, simulated_workspace

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MARKETS = tuple(Market(f"M{number}-USDT", "1h") for number in range(12))
HISTORY, MORNING, HOURS = 300, 6, 24
GROWTH_BYTES = 40 * 2**20
HOURLY, CORRECTIONS, _ = build_sensors(CHAIN_JOB, "hour", "")
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = ANY(%s)"


class Day:
    """The clock, the sensors and the runs they ask for, all in this process."""

    def __init__(self, ws: Workspace, instance: dg.DagsterInstance) -> None:
        self.workspace, self.instance = ws, instance
        self.definitions = build_pipeline(ws.universe, lambda: nullcontext(ws))
        self.cursor: str | None = None

    def hour(self) -> None:
        """Tick both sensors, and run what they ask for."""
        resources = {"workspace": self.workspace}
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources)
        found = HOURLY.evaluate_tick(context)
        assert len(found.run_requests or []) == 1
        assert found.cursor is not None
        end = int(found.cursor)
        window = Window(int(self.cursor) if self.cursor else end - HOUR_MS, end)
        assert materialize_range(self.definitions, self.instance, MARKETS[0], MARKETS[-1], window).success
        self.cursor = found.cursor
        CORRECTIONS.evaluate_tick(dg.build_sensor_context(instance=self.instance, resources=resources))


def test_a_day_of_ticks_leaves_memory_and_connections_as_they_were(
    make_database: Callable[[], str], tmp_path: Path
) -> None:
    database, events, now = make_database(), make_database(), [START + HISTORY * HOUR_MS]
    names = [database_name(url) for url in (database, events)]
    with simulated_workspace(database, tmp_path / "snapshots", MARKETS, clock=lambda: now[0]) as simulated:
        ws = replace(simulated, universe=replace(simulated.universe, end_ms=None))
        for market in MARKETS:
            run_stages(ws, market, [hours_from_start(0, HISTORY)])
        with (
            open_instance(tmp_path / "dagster", dagster_url(events)) as instance,
            psycopg.connect(database) as asked,
        ):
            day, process, used = Day(ws, instance), psutil.Process(), []
            asked.autocommit = True
            for _ in range(HOURS):
                now[0] += HOUR_MS
                day.hour()
                (connections,) = asked.execute(CONNECTIONS, [names]).fetchone() or (0,)
                used.append((process.memory_info().rss, connections, process.num_fds()))
        stored = ws.warehouse.read_range("dashboard_hours", MARKETS[-1], hours_from_start(0, HISTORY + HOURS))
        assert len(stored["hour_start"]) == HISTORY + HOURS
    (memory, connections, files), evening = used[MORNING], used[-1]
    assert evening[0] - memory < GROWTH_BYTES, used
    assert evening[1] == connections, used
    assert evening[2] <= files, used  # what earlier tests left open may be closed meanwhile
