"""Code server and Dagster itself are killed in a backfill: it completes, and one daemon is left at the end."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline_tests.e2e.regime_up import Up, quarter_of, running_up, until

pytestmark = [pytest.mark.faults, pytest.mark.slow]

START_MS, HOURS = to_ms("2026-01-01T00:00:00Z"), 120
MARKETS = quarter_of(("ALFA", "BRAVO", "CHARLIE", "DELTA"), '["1h"]')


def kill(up: Up, words: str) -> None:
    for process in up.processes(words):
        process.kill()


def status_of(url: str, headers: dict[str, str], body: bytes | None = None) -> int:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_backfill_outlives_its_code_server_and_dagster_and_foreign_pages_command_nothing(home: Path) -> None:
    with running_up(home, MARKETS) as up:
        command = json.dumps({"query": "mutation { setNuxSeen }"}).encode()
        assert status_of(f"{up.url}/graphql", {"Origin": "http://evil.example"}, command) == 403
        assert status_of(f"{up.url}/graphql", {"Host": "evil.example"}, command) == 403
        assert status_of(f"{up.url}/graphql?query=mutation%7BsetNuxSeen%7D", {}) == 403

        backfill = up.launch_hours(Window(START_MS, START_MS + HOURS * HOUR_MS))
        until(120, lambda: True if "STARTED" in up.statuses() else None, "the first run's start", 0.1)
        kill(up, "guarded.code_server")
        kill(up, "api grpc")
        assert until(400, lambda: up.end_of_backfill_if_known(backfill), "the backfill's end") == "COMPLETED_SUCCESS"

        backfill = up.launch_hours(Window(START_MS + HOURS * HOUR_MS, START_MS + 2 * HOURS * HOUR_MS))
        until(120, lambda: True if "STARTED" in up.statuses() else None, "the first run's start", 0.1)
        kill(up, "guarded.dev")  # what the kernel takes first when memory is short
        assert until(400, lambda: up.end_of_backfill_if_known(backfill), "the backfill's end") == "COMPLETED_SUCCESS"
        assert len(up.processes("guarded.daemon")) == 1

        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(90) == 0
        assert up.processes("") == []
