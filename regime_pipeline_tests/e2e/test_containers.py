"""The containers of docker/ themselves: from nothing to backfills over workers that neither kills nor upgrades stop."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.e2e.containers import (
    Stack,
    build,
    main_settings,
    newer_version,
    require_engine,
    running_stack,
)

pytestmark = pytest.mark.faults

DAYS = 21
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
THIRDS = [(START + timedelta(days=DAYS / 3 * part)).isoformat() for part in range(4)]
MARKETS = 10
"""Nine that the shipped list simulates, and one that is imported."""
IMPORT = re.compile(r"^docker compose (cp candles\.csv code:\S+)|^docker compose exec code (regime import .+)$", re.M)
VERSION = "99.0.0"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    require_engine()
    build()
    with running_stack(Stack(main_settings(START.isoformat()))) as found:
        yield found


def test_from_nothing_every_role_is_healthy_and_answers(stack: Stack) -> None:
    for service, path in (("UI", "/server_info"), ("API", "/readyz"), ("SITE", "/")):
        with urllib.request.urlopen(stack.address(service) + path, timeout=10) as answer:
            assert answer.status == 200
    foreign = urllib.request.Request(stack.address("UI") + "/server_info", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(foreign, timeout=10)
    assert "simulated markets" in stack.compose("logs", "schema")
    for service in ("code", "webserver", "daemon", "worker", "api", "site"):
        assert "Traceback" not in stack.compose("logs", service)
    key = stack.compose("exec", "-T", "api", "regime", "keys", "create", "test").split()[0]
    request = urllib.request.Request(stack.address("API") + "/api/markets", headers={"X-API-Key": key})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def test_a_file_of_candles_becomes_a_market(stack: Stack, tmp_path: Path) -> None:
    """The commands of docker/README.md."""
    opens = [START + timedelta(hours=hour) for hour in range(DAYS * 24)]
    bars = [f"{at.isoformat()},{10 + hour % 7},18,9,{11 + hour % 5},{hour}" for hour, at in enumerate(opens)]
    (tmp_path / "candles.csv").write_text("\n".join(["time,open,high,low,close,volume", *bars]), "utf-8")
    found = IMPORT.findall((REPOSITORY / "docker" / "README.md").read_text("utf-8"))
    (copy, _), (_, command) = found

    stack.compose(*copy.replace("candles.csv", str(tmp_path / "candles.csv"), 1).split())
    report = stack.run(*command.split())

    assert str(DAYS * 24) in report
    stack.compose("restart", "code")
    stack.compose("up", "--detach", "--wait")
    assert "BTC-EUR" in stack.run("cat", "/data/markets.toml")


def down_and_up(stack: Stack) -> None:
    stack.compose("down")
    stack.compose("up", "--detach", "--wait")


def upgrade(stack: Stack) -> None:
    with newer_version(VERSION):
        stack.compose("up", "--detach", "--wait")
    assert VERSION in stack.run("regime", "--version")


def kill_each(stack: Stack) -> None:
    stack.kill_within("code", "grpc")
    time.sleep(8)
    for service in ("worker", "code", "daemon", "redis", "postgres"):
        stack.kill(service)
        time.sleep(8)


@pytest.mark.parametrize(
    ("third", "trouble"),
    [
        pytest.param(0, down_and_up, id="down and up"),
        pytest.param(1, upgrade, id="an upgrade"),
        pytest.param(2, kill_each, id="a kill of each role, and of the code server's child"),
    ],
)
def test_a_backfill_over_workers_survives(stack: Stack, third: int, trouble: Callable[[Stack], None]) -> None:
    stack.begin_backfill("--start", THIRDS[third], "--end", THIRDS[third + 1])

    trouble(stack)

    stack.await_whole(DAYS / 3 * (third + 1) * 24, MARKETS)
    assert "hours without a row" not in stack.doctor()
