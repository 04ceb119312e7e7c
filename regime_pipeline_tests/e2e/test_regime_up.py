"""`regime up` as a user of the UI has it: a backfill that GraphQL launches, live hours that the sensor catches up."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline.storage.embedded.server import embedded_server
from regime_pipeline_tests.e2e.regime_up import Up, processes_of_session, running_up, until

pytestmark = pytest.mark.slow

HOURS, DOWNTIME_HOURS = 6, 5
MARKETS = """
[partitions]
start = {start}

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["15m", "1h"]
source = "simulated"
"""


@pytest.fixture
def now_ms() -> int:
    """End of the newest closed hour; the markets began twelve hours before."""
    return int(time.time()) * 1000 // HOUR_MS * HOUR_MS


@pytest.fixture
def up(home: Path, now_ms: int) -> Iterator[Up]:
    with running_up(home, MARKETS.format(start=to_iso(now_ms - 2 * HOURS * HOUR_MS))) as running:
        yield running


def dashboard_hours(up: Up, window: Window) -> list[list[int]]:
    """Hours in the dashboard table, market by market."""
    with open_workspace(up.settings) as workspace:
        read = workspace.warehouse.read_range
        return [
            read("dashboard_hours", market, window, ["hour_start"])["hour_start"].tolist()
            for market in workspace.universe.markets
        ]


def backfill(up: Up, window: Window) -> str:
    """Launch the chain for a window as the UI does, wait for the daemon, and return how it ended."""
    launched = up.launch_hours(window)
    return until(240, lambda: up.end_of_backfill(launched), "the backfill's end")


def test_backfill_live_hours_and_ctrl_c(up: Up, now_ms: int) -> None:
    """One `regime up`: a backfill completes, five hours of downtime are one run, Ctrl-C leaves nothing behind."""
    with urllib.request.urlopen(up.dashboard, timeout=20) as reply:
        assert "No market has data yet." in reply.read().decode()
    past = Window(now_ms - 2 * HOURS * HOUR_MS, now_ms - HOURS * HOUR_MS)
    assert backfill(up, past) == "COMPLETED_SUCCESS"
    assert dashboard_hours(up, past) == [past.hours.tolist()] * 2

    missed = Window(now_ms - DOWNTIME_HOURS * HOUR_MS, now_ms)
    up.start_sensor("hourly_market_sensor", cursor=str(missed.start_ms))
    first = until(180, lambda: next(iter(up.sensor_runs("hourly_market_sensor")), None), "the sensor's run")
    markets, newest = read_universe(up.settings).markets, (missed.end_ms - HOUR_MS, missed.end_ms)
    assert first.partitions[1] in [partition_key(markets[-1], hour) for hour in newest]  # another hour may have closed
    assert first.partitions[0] <= partition_key(markets[0], missed.start_ms)  # at midnight three days are asked again
    assert until(120, lambda: up.end_of(first.run_id), "the end of the sensor's run") == "SUCCESS"
    assert dashboard_hours(up, missed) == [missed.hours.tolist()] * 2

    server = embedded_server(up.settings.home, up.settings.postgres_account)
    server.release()
    os.kill(up.process.pid, signal.SIGINT)
    assert up.process.wait(60) == 0
    until(20, lambda: True if not processes_of_session(up.process.pid) else None, "the end of every child")
    assert not server.status().is_running


def test_live_hours_run_from_the_first_start_on_and_each_once(home: Path) -> None:
    start = int(time.time() * 1000) // HOUR_MS * HOUR_MS - 2 * HOURS * HOUR_MS
    with running_up(home, MARKETS.format(start=to_iso(start)), sensors="on") as up:
        first = until(180, lambda: next(iter(up.sensor_runs("hourly_market_sensor")), None), "the sensor's run")
        assert until(120, lambda: up.end_of(first.run_id), "the end of the sensor's run") == "SUCCESS"
        site = until(180, lambda: next(iter(up.sensor_runs("site_sensor")), None), "the dashboard's run")
        assert until(120, lambda: up.end_of(site.run_id), "the end of the dashboard's run") == "SUCCESS"
        hourly = [run.partitions for run in up.sensor_runs("hourly_market_sensor")]

        assert len(set(hourly)) == len(hourly)  # another hour may have closed
        assert up.sensor_runs("correction_sensor") == []
        os.kill(up.process.pid, signal.SIGINT)
        assert up.process.wait(60) == 0
