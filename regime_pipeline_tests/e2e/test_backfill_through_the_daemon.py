"""`regime up`, and a backfill that the webserver's GraphQL launches and the daemon runs: what a user of the UI does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from regime_pipeline.composition import open_workspace, read_universe
from regime_pipeline.domain.market import HOUR_MS
from regime_pipeline.domain.window import Window
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline.services.stages import STAGES
from regime_pipeline.settings import Settings
from regime_pipeline.storage.embedded import embedded_server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dagster")]

T = TypeVar("T")
HOURS = 6
MARKETS = f"""
[partitions]
start = 2026-09-01T00:00:00Z
end = 2026-09-01T{HOURS:02}:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["15m", "1h"]
source = "simulated"
"""
LAUNCH = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill { status error { message } } } }"""


@dataclass(frozen=True)
class Up:
    """A running `regime up`."""

    process: subprocess.Popen[bytes]
    settings: Settings
    url: str

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        assert "errors" not in answer, answer
        return dict(answer["data"])


def until(seconds: float, ask: Callable[[], T | None], what: str) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def up(home: Path) -> Iterator[Up]:
    """`regime up` on a free port, in a home of its own; it must end by itself when told to stop."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "markets.toml").write_text(MARKETS, "utf-8")
    port = free_port()
    environment = {**os.environ, "REGIME_HOME": str(home)}
    command = [sys.executable, "-c", "from regime_pipeline.cli.app import main; main()", "up", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL)
    running = Up(process, Settings(home=home), f"http://127.0.0.1:{port}")
    try:
        until(90, lambda: is_listening(running), "the webserver's start")
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def is_listening(up: Up) -> bool | None:
    assert up.process.poll() is None, "regime up has ended"
    try:
        with urllib.request.urlopen(f"{up.url}/server_info", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return None


def processes_of_session(leader: int) -> list[str]:
    """Command lines of what is left of a process group."""
    listing = subprocess.run(["ps", "-e", "-o", "pgid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if line.split(None, 1)[0] == str(leader) and "<defunct>" not in line]


def test_a_backfill_from_the_ui_completes_and_ctrl_c_leaves_nothing_behind(up: Up) -> None:
    universe = read_universe(up.settings)
    keys = [partition_key(m, universe.start_ms + hour * HOUR_MS) for m in universe.markets for hour in range(HOURS)]
    params = {"assetSelection": [{"path": [stage.name]} for stage in STAGES], "partitionNames": keys}

    launched = up.graphql(LAUNCH, {"params": params})["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def finished() -> str | None:
        backfill = up.graphql(STATUS, {"id": launched["backfillId"]})["partitionBackfillOrError"]
        assert not backfill.get("error"), backfill
        return None if backfill["status"] in ("REQUESTED", "COMPLETING") else str(backfill["status"])

    assert until(240, finished, "the backfill's end") == "COMPLETED_SUCCESS"

    with open_workspace(up.settings) as workspace:
        window = Window(universe.start_ms, universe.start_ms + HOURS * HOUR_MS)
        for market in universe.markets:
            rows = workspace.warehouse.read_range("dashboard_hours", market, window, ["hour_start"])
            assert rows["hour_start"].tolist() == window.hours.tolist()
    server = embedded_server(up.settings.home, up.settings.postgres_account)
    server.release()

    os.kill(up.process.pid, signal.SIGINT)
    assert up.process.wait(60) == 0
    until(20, lambda: True if not processes_of_session(up.process.pid) else None, "the end of every child")
    assert not server.status().is_running
