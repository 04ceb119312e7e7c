"""A running `regime up` for tests: start it, ask its GraphQL, wait for things, see what is left of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg

from regime_pipeline.bootstrap import open_databases, read_universe
from regime_pipeline.cli.up import UP_MARK
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.build import CHAIN_JOB
from regime_pipeline.pipeline.instance import LOCATION
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.settings import Settings
from regime_pipeline.storage.urls import libpq_url

T = TypeVar("T")
_REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
_SET_CURSOR = """mutation($selector: SensorSelector!, $cursor: String) {
  setSensorCursor(sensorSelector: $selector, cursor: $cursor) { __typename ... on PythonError { message } } }"""
_START = """mutation($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } } }"""
_LAUNCH = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_LAUNCH_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_BACKFILL = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill { status error { message } } } }"""
_RELOAD = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
  __typename ... on WorkspaceLocationEntry { loadStatus locationOrLoadError { __typename } } } }"""
_ENGINE_EVENTS = "SELECT event FROM event_logs WHERE run_id = %s AND dagster_event_type = 'ENGINE_EVENT'"
_RUNS = """query($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
  runId status creationTime startTime endTime tags { key value } } } } }"""


@dataclass(frozen=True)
class Run:
    """A run as GraphQL tells it; times in epoch seconds, None while unknown."""

    run_id: str
    partitions: tuple[str, str]
    created: float
    ended: float | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Run:
        tags = {tag["key"]: tag["value"] for tag in row["tags"]}
        ends = tuple(tags.get(f"dagster/asset_partition_range_{end}", "") for end in ("start", "end"))
        return cls(row["runId"], (ends[0], ends[1]), row["creationTime"], row["endTime"])


@dataclass(frozen=True)
class Up:
    """A running `regime up`."""

    process: subprocess.Popen[bytes]
    settings: Settings
    url: str
    dashboard: str = ""
    api: str = ""

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        assert "errors" not in answer, answer
        return dict(answer["data"])

    def start_sensor(self, name: str, cursor: str) -> None:
        """Set a sensor's cursor and turn it on."""
        selector = {**_REPOSITORY, "sensorName": name}
        moved = self.graphql(_SET_CURSOR, {"selector": selector, "cursor": cursor})["setSensorCursor"]
        assert moved["__typename"] == "Sensor", moved
        started = self.graphql(_START, {"selector": selector})["startSensor"]
        assert started["__typename"] == "Sensor", started

    def sensor_runs(self, name: str) -> list[Run]:
        """Runs that a sensor has asked for, oldest first."""
        found = self.graphql(_RUNS, {"filter": {"tags": [{"key": "dagster/sensor_name", "value": name}]}})
        return [Run.of(row) for row in reversed(found["runsOrError"]["results"])]

    def launch_hours(self, window: Window) -> str:
        """Launch the whole chain for these hours of every market as the UI does, and return the backfill's id."""
        markets = read_universe(self.settings).markets
        return self.launch_backfill(
            [partition_key(market, hour) for market in markets for hour in window.hours.tolist()]
        )

    def launch_backfill(self, keys: Sequence[str]) -> str:
        """Launch the whole chain for partitions as the UI does, and return the backfill's id."""
        params = {"assetSelection": [{"path": [stage.name]} for stage in STAGES], "partitionNames": list(keys)}
        launched = self.graphql(_LAUNCH, {"params": params})["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def reload(self, location: str) -> None:
        """Reload a code location as the UI does."""
        found = self.graphql(_RELOAD, {"name": location})["reloadRepositoryLocation"]
        assert found["locationOrLoadError"]["__typename"] == "RepositoryLocation", found

    def launch_run(self, tags: Mapping[str, str]) -> str:
        """Launch one run of the chain with these tags, and return its id."""
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        selector = {**_REPOSITORY, "jobName": CHAIN_JOB}
        params = {"selector": selector, "executionMetadata": {"tags": pairs}}
        launched = self.graphql(_LAUNCH_RUN, {"params": params})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def process_of(self, run_id: str) -> int:
        """The process of a run that has begun, as its own first event tells."""
        with psycopg.connect(libpq_url(open_databases(self.settings).dagster)) as connection:
            events = connection.execute(_ENGINE_EVENTS, (run_id,)).fetchall()
        found = [re.search(r"Started process for run \(pid: (\d+)\)", event) for (event,) in events]
        return next(int(match[1]) for match in found if match)

    def end_of_backfill(self, backfill: str) -> str | None:
        """Status of a backfill that has ended, None before."""
        found = self.graphql(_BACKFILL, {"id": backfill})["partitionBackfillOrError"]
        assert not found.get("error"), found
        return None if found["status"] in ("REQUESTED", "COMPLETING") else str(found["status"])

    def end_of_backfill_if_known(self, backfill: str) -> str | None:
        """The same; None too while the UI is away."""
        try:
            return self.end_of_backfill(backfill)
        except (OSError, AssertionError, KeyError):
            return None

    def processes(self, words: str) -> list[psutil.Process]:
        """What `up` has started whose command line holds these words."""
        found = []
        for process in psutil.process_iter():
            try:
                is_mine = process.environ().get(UP_MARK) == str(self.settings.home)
                if is_mine and words in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def runs(self) -> list[dict[str, Any]]:
        """Every run there is."""
        return list(self.graphql(_RUNS, {"filter": {}})["runsOrError"]["results"])

    def statuses(self) -> list[str]:
        """How far every run is, newest first."""
        return [str(run["status"]) for run in self.runs()]

    def end_of(self, run_id: str) -> str | None:
        """Status of a run that has ended, None before."""
        (row,) = self.graphql(_RUNS, {"filter": {"runIds": [run_id]}})["runsOrError"]["results"]
        return str(row["status"]) if row["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None


def until(seconds: float, ask: Callable[[], T | None], what: str, every_s: float = 0.5) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(every_s)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def quarter_of(symbols: Sequence[str], timeframes: str) -> str:
    """A markets file of simulated markets and the first quarter of 2026; timeframes as TOML writes them."""
    span = "[partitions]\nstart = 2026-01-01T00:00:00Z\nend = 2026-04-01T00:00:00Z\n"
    entry = '\n[[markets]]\nsymbol = "{}-USDT"\ntimeframes = {}\nsource = "simulated"\n'
    return span + "".join(entry.format(symbol, timeframes) for symbol in symbols)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_up(home: Path, markets: str, sensors: str = "off") -> Iterator[Up]:
    """`regime up` on a free port, in a home of its own with this markets file; killed if it is left at the end.

    Its sensors are off unless they are wanted, so that nothing runs but what is asked for.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "markets.toml").write_text(markets, "utf-8")
    port, dashboard = free_port(), free_port()
    environment = {**os.environ, "REGIME_HOME": str(home), "REGIME_SENSORS": sensors}
    command = [sys.executable, "-c", "from regime_pipeline.cli.app import main; main()", "up"]
    command += ["--port", str(port), "--dashboard-port", str(dashboard), "--api-port", "0"]
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL)
    running = Up(process, Settings(home=home), f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}")
    try:
        until(300, lambda: is_listening(running), "the webserver's start")
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
