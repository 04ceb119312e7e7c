"""Runs of a code server are forks of its preloaded process: what they see, how they end, and what ends with them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import DefaultRunLauncher, WorkerStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._grpc.client import DagsterGrpcClient
from dagster._serdes import serialize_value

from regime_pipeline.bootstrap import build_definitions, open_databases, open_workspace, read_universe
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.pipeline.build import CHAIN_JOB
from regime_pipeline.pipeline.instance import LOCATION, MODULE, REPOSITORY, open_instance
from regime_pipeline.pipeline.launchers.default import WatchedRunLauncher
from regime_pipeline.pipeline.partitions import range_tags
from regime_pipeline.settings import Settings
from regime_pipeline_tests.e2e.regime_up import until

pytestmark = pytest.mark.slow

START_MS = to_ms("2026-01-01T00:00:00Z")
HOUR = Window(START_MS, START_MS + HOUR_MS)
LONG = Window(START_MS, START_MS + 20 * DAY_MS)
MARKETS = """
[partitions]
start = 2026-01-01T00:00:00Z
end = 2026-04-01T00:00:00Z
"""
ENTRY = """
[[markets]]
symbol = "{}-USDT"
timeframes = ["{}"]
source = "simulated"
"""
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY), CHAIN_JOB)


@dataclass(frozen=True)
class CodeServer:
    """A code server of a home, and the home's instance in this process."""

    process: subprocess.Popen[bytes]
    client: DagsterGrpcClient
    instance: dg.DagsterInstance
    settings: Settings

    def launch(self, market: Market, window: Window) -> dg.DagsterRun:
        """Launch the chain as the daemon does."""
        run = self.instance.create_run_for_job(
            build_definitions(self.settings).resolve_job_def(CHAIN_JOB),
            tags=dict(range_tags(market, market, window)),
            remote_job_origin=ORIGIN,
        )
        DefaultRunLauncher.launch_run_from_grpc_client(self.instance, run, self.client)
        return self.now(run)

    def now(self, run: dg.DagsterRun) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found

    def end(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        """Wait for a run's end."""
        return until(240, lambda: self.now(run).status if self.now(run).is_finished else None, "the run's end")

    def process_of(self, run: dg.DagsterRun) -> psutil.Process:
        """The process of a run, once it has begun."""

        def reported() -> int | None:
            texts = [entry.message for entry in self.instance.all_logs(run.run_id)]
            found = [re.search(r"Started process for run \(pid: (\d+)\)", text) for text in texts]
            return next((int(match[1]) for match in found if match), None)

        return psutil.Process(until(120, reported, "the run's process", 0.1))

    def await_step(self, run: dg.DagsterRun) -> None:
        """Wait until a step is at work: what is cancelled before counts as failed, however it was started."""
        begun = {dg.DagsterEventType.STEP_START}
        until(120, lambda: self.instance.all_logs(run.run_id, begun) or None, "the first step", 0.1)

    def fork_server(self) -> psutil.Process:
        """The preloaded process."""
        (found,) = [child for child in psutil.Process(self.process.pid).children() if is_fork_server(child)]
        return found


def is_fork_server(process: psutil.Process) -> bool:
    return "multiprocessing.forkserver" in " ".join(process.cmdline())


def is_answering(client: DagsterGrpcClient) -> bool | None:
    try:
        client.ping("")
    except dg.DagsterError:
        return None
    return True


@pytest.fixture
def start(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CodeServer]]:
    """Start a code server whose one market has these bars."""
    monkeypatch.setenv("REGIME_HOME", str(home))
    started: list[CodeServer] = []
    settings = Settings()
    settings.markets.write_text(MARKETS, "utf-8")
    with open_instance(settings.dagster_home, open_databases(settings).dagster) as instance:

        def make(timeframe: str) -> CodeServer:
            add(settings, "ALFA", timeframe)
            socket = str(tmp_path / "socket")
            command = [sys.executable, "-m", "dagster", "api", "grpc", "-m", MODULE, "--socket", socket]
            process = subprocess.Popen([*command, "--instance-ref", serialize_value(instance.get_ref())])
            server = CodeServer(process, DagsterGrpcClient(socket=socket), instance, settings)
            started.append(server)
            until(120, lambda: is_answering(server.client), "the code server's start")
            return server

        yield make
        for server in started:
            server.process.kill()
            server.process.wait()


def add(settings: Settings, symbol: str, timeframe: str) -> None:
    with settings.markets.open("a", encoding="utf-8") as file:
        file.write(ENTRY.format(symbol, timeframe))


def test_runs_are_forks_that_see_new_markets_and_the_fork_server_ends_with_the_code_server(
    start: Callable[..., CodeServer],
) -> None:
    server = start("1m")
    preloaded = server.fork_server()

    run = server.launch(Market("ALFA-USDT", "1m"), LONG)
    assert server.process_of(run).ppid() == preloaded.pid
    assert preloaded.num_threads() == 1
    assert not [kept for kept in preloaded.net_connections("all") if kept.raddr]
    assert server.end(run) is dg.DagsterRunStatus.SUCCESS

    add(server.settings, "BRAVO", "1h")
    later = server.launch(Market("BRAVO-USDT", "1h"), HOUR)
    assert server.end(later) is dg.DagsterRunStatus.SUCCESS
    assert server.fork_server() == preloaded
    with open_workspace(server.settings) as workspace:
        for market, window in zip(read_universe(server.settings).markets, (LONG, HOUR), strict=True):
            rows = workspace.warehouse.read_range("dashboard_hours", market, window, ["hour_start"])
            assert rows["hour_start"].tolist() == window.hours.tolist()

    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) is not None
    preloaded.wait(30)


def test_a_run_is_cancelled_and_one_whose_fork_server_is_killed_fails_and_ends_with_it(
    start: Callable[..., CodeServer],
) -> None:
    server, market = start("1m"), Market("ALFA-USDT", "1m")
    launcher = server.instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)

    cancelled = server.launch(market, LONG)
    process = server.process_of(cancelled)
    server.await_step(cancelled)
    assert launcher.check_run_worker_health(server.now(cancelled)).status is WorkerStatus.RUNNING
    assert launcher.terminate(cancelled.run_id)
    assert server.end(cancelled) is dg.DagsterRunStatus.CANCELED
    process.wait(30)

    killed, first = server.launch(market, LONG), server.fork_server()
    process = server.process_of(killed)
    os.kill(first.pid, signal.SIGKILL)
    began = time.monotonic()
    process.wait(10)
    assert server.end(killed) is dg.DagsterRunStatus.FAILURE
    assert time.monotonic() - began < 20, "the code server notices it, not run monitoring"
    assert launcher.check_run_worker_health(server.now(killed)).status is WorkerStatus.FAILED

    again = server.launch(market, LONG)
    assert server.process_of(again).ppid() == server.fork_server().pid != first.pid
    assert server.end(again) is dg.DagsterRunStatus.SUCCESS
