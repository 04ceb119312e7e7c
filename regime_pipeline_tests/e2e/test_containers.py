"""The containers of docker/ themselves: from nothing to a backfill over workers that kills do not stop.

Needs a Docker engine with compose, and root for the kills. Where REGIME_PYTHON_IMAGE and its sisters are not set, base
images come from a registry; `docker/debian/images.sh` makes them without one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.e2e.regime_up import free_port, until

pytestmark = pytest.mark.faults

DAYS = 20
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
HALF = START + timedelta(days=DAYS / 2)
MARKETS = 9
COUNT = "SELECT count(*), count(DISTINCT (symbol, timeframe)) FROM market_dashboard_hours"


@dataclass(frozen=True)
class Stack:
    """A compose project of its own on free ports."""

    environment: dict[str, str]

    def compose(self, *words: str, timeout: float = 600) -> str:
        """Run docker compose and return what it prints; fails with its errors."""
        files = ("-f", str(REPOSITORY / "docker" / "compose.yaml"))
        done = subprocess.run(
            ["docker", "compose", "-p", "regime-test", *files, *words],
            check=False, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def run(self, *words: str) -> str:
        """Run a command in the code server's container."""
        return self.compose("exec", "-T", "code", *words)

    def rows(self) -> tuple[int, int]:
        """Hours on the dashboard, and markets that have some."""
        found = self.compose("exec", "-T", "postgres", "psql", "-At", "-U", "regime", "-d", "regime", "-c", COUNT)
        hours, markets = found.strip().split("|")
        return int(hours), int(markets)

    def address(self, service: str) -> str:
        """Where a published service listens."""
        return f"http://127.0.0.1:{self.environment[f'REGIME_{service}_PORT']}"

    def kill(self, service: str) -> None:
        """Kill the first process of one of a service's containers from outside, as the kernel does when memory ends."""
        container = self.compose("ps", "-q", service).split()[0]
        shown = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
        )
        os.kill(int(shown.stdout), signal.SIGKILL)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], check=False, capture_output=True).returncode
    ):
        pytest.skip("there is no Docker engine")
    if subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode:
        pytest.skip("docker compose is missing: docker/debian/images.sh brings it")
    if os.getuid():
        pytest.skip("killing the processes of containers needs root")
    ports = {f"REGIME_{service}_PORT": str(free_port()) for service in ("UI", "API", "SITE")}
    found = Stack(
        {"POSTGRES_PASSWORD": "secret", "REGIME_SENSORS": "off", "REGIME_PARTITION_START": START.isoformat(), **ports}
    )
    try:
        found.compose("build", timeout=1_200)
        found.compose("up", "--detach", "--wait")
        yield found
    finally:
        subprocess.run(["docker", "compose", "-p", "regime-test", "down", "--volumes", "--timeout", "5"], check=False)


def test_from_nothing_every_role_is_healthy_and_answers(stack: Stack) -> None:
    for service, path in (("UI", "/server_info"), ("API", "/readyz"), ("SITE", "/")):
        with urllib.request.urlopen(stack.address(service) + path, timeout=10) as answer:
            assert answer.status == 200
    assert "simulated markets" in stack.compose("logs", "schema")
    for service in ("code", "webserver", "daemon", "worker", "api", "site"):
        assert "Traceback" not in stack.compose("logs", service)
    key = stack.compose("exec", "-T", "api", "regime", "keys", "create", "test").split()[0]
    request = urllib.request.Request(stack.address("API") + "/api/markets", headers={"X-API-Key": key})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def begin_backfill(stack: Stack, *words: str) -> None:
    """Start a backfill in the background, and wait until its first runs go on."""
    before = running(stack)
    stack.compose("exec", "-d", "code", "regime", "backfill", *words)
    until(180, lambda: running(stack) > before or None, "the first run")


def running(stack: Stack) -> int:
    """Runs of backfills that have ever started."""
    question = "SELECT count(*) FROM runs WHERE status NOT IN ('NOT_STARTED', 'QUEUED')"
    found = stack.compose(
        "exec", "-T", "postgres", "psql", "-At", "-U", "regime", "-d", "regime_dagster", "-c", question
    )
    return int(found)


def await_whole(stack: Stack, days: float, seconds: float = 1_500) -> None:
    """Wait until every partition of so many days has its row for every market, and the daemon is content.

    A run that is lost on its way to a worker is run again after a quarter of an hour.
    """
    until(seconds, lambda: stack.rows() >= (MARKETS * days * 24, MARKETS) or None, "the backfill's end", every_s=3)
    until(120, lambda: "completed_success" in doctor(stack) or None, "the backfill's success", every_s=3)


def doctor(stack: Stack) -> str:
    """What `regime doctor` says of the newest backfill; its exit code does not matter here."""
    return stack.run("sh", "-c", "COLUMNS=200 regime doctor || true")


def down_and_up(stack: Stack) -> None:
    stack.compose("down")
    stack.compose("up", "--detach", "--wait")


def kill_each(stack: Stack) -> None:
    for service in ("worker", "code", "daemon", "redis", "postgres"):
        stack.kill(service)
        time.sleep(8)


@pytest.mark.parametrize(
    ("trouble", "span", "days"),
    [
        pytest.param(down_and_up, ("--end", HALF.isoformat()), DAYS / 2, id="down and up"),
        pytest.param(kill_each, ("--start", HALF.isoformat()), DAYS, id="a kill of each role"),
    ],
)
def test_a_backfill_over_workers_survives(
    stack: Stack, trouble: Callable[[Stack], None], span: tuple[str, ...], days: float
) -> None:
    begin_backfill(stack, *span)

    trouble(stack)

    await_whole(stack, days)
    assert "hours without a row" not in doctor(stack)
