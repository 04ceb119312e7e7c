"""The containers of docker/ themselves: from nothing to a backfill over workers that kills do not stop."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from regime_pipeline_tests.e2e.containers import Stack, build, main_settings, require_engine, running_stack

pytestmark = pytest.mark.faults

DAYS = 20
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
HALF = START + timedelta(days=DAYS / 2)
MARKETS = 9


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
    assert "simulated markets" in stack.compose("logs", "schema")
    for service in ("code", "webserver", "daemon", "worker", "api", "site"):
        assert "Traceback" not in stack.compose("logs", service)
    key = stack.compose("exec", "-T", "api", "regime", "keys", "create", "test").split()[0]
    request = urllib.request.Request(stack.address("API") + "/api/markets", headers={"X-API-Key": key})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


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
    stack.begin_backfill(*span)

    trouble(stack)

    stack.await_whole(days * 24, MARKETS)
    assert "hours without a row" not in stack.doctor()
