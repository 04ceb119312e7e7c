"""Tests of `services.verdict_hooks` and its sensor: every change once, in order, signed, and again until it arrives."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from regime_pipeline.domain.errors import SourceError, UsageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.pipeline.sensors import build_webhook_sensor
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.webhooks import (
    CATCH_UP_HOURS,
    DELIVERY,
    SIGNATURE,
    VerdictChange,
    deliver,
    newest_verdict,
    notify_changes,
    standard_headers,
    verdict_changes,
)
from regime_pipeline_tests.factories import simulated_workspace
from regime_pipeline_tests.served_home import ETH, HOURS, WINDOW, hour

SECRET = "s3cret"
CHANGE = VerdictChange(
    *("verdict_changed", "ETH-USDT", "1h", "2026-09-01T00:00:00Z", "2026-09-01T01:00:00Z", "TREND", "RANGE_OK"),
    confidence=0.5,
)


@contextmanager
def receiver(statuses: list[int]) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A webhook that answers with these statuses, then with 200; yield its address and what it got."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def patience() -> RetryPolicy:
    return RetryPolicy(lambda _: None, lambda: 0.5, lambda: 0.0, 60.0)


class Lively:
    """A warehouse whose verdicts change every five hours, whatever the market did."""

    def __init__(self, warehouse: Any) -> None:
        self.warehouse = warehouse

    def __getattr__(self, name: str) -> Any:
        return getattr(self.warehouse, name)

    def read_range(self, table: str, *asked: Any) -> Any:
        rows = self.warehouse.read_range(table, *asked)
        if table != "regime_verdicts":
            return rows
        number = (asked[1].start_ms - hour(0)) // (hour(1) - hour(0)) + np.arange(len(rows["verdict"]))
        return rows | {"verdict": (1 + number // 5 % 4).astype(np.int8)}


@pytest.fixture
def lively(served: Workspace) -> Workspace:
    return replace(served, warehouse=Lively(served.warehouse))  # type: ignore[arg-type]


def verdicts(ws: Workspace) -> list[str]:
    codes = ws.warehouse.read_range("regime_verdicts", ETH, WINDOW)["verdict"]
    return [VERDICTS[code] for code in codes.tolist()]


def test_every_change_of_the_last_day_is_found_in_order(lively: Workspace) -> None:
    names = verdicts(lively)
    first = HOURS - CATCH_UP_HOURS
    known = {"hour": hour(first - 1), "verdict": names[first - 1]}
    expected = [n for n in range(first, HOURS) if names[n] != names[n - 1]]

    found = verdict_changes(lively, ETH, known)

    assert [h for _, h in found] == [hour(number) for number in expected]
    assert [(c.verdict, c.previous, c.hour_start) for c, _ in found] == [
        (names[n], names[n - 1], to_iso(hour(n))) for n in expected
    ]
    long_ago = {"hour": hour(10), "verdict": names[first - 1]}
    assert verdict_changes(lively, ETH, long_ago) == found, "older hours are history"
    assert verdict_changes(lively, ETH, None) == []
    assert verdict_changes(lively, ETH, newest_verdict(lively, ETH)) == []


def test_a_change_is_signed_and_posted_again_until_it_arrives() -> None:
    with receiver([503, 429]) as (url, got):
        deliver(url, SECRET, CHANGE, patience())

    assert len(got) == 3
    headers, body = got[-1]
    assert headers[SIGNATURE] == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers[DELIVERY] == "ETH-USDT_1h_2026-09-01T00:00:00Z"
    assert json.loads(body) == {
        "event": "verdict_changed", "symbol": "ETH-USDT", "timeframe": "1h", "hour_start": "2026-09-01T00:00:00Z",
        "known_at": "2026-09-01T01:00:00Z", "verdict": "TREND", "previous": "RANGE_OK", "confidence": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("secret", "key"), [(SECRET, SECRET.encode()), ("whsec_" + base64.b64encode(b"k" * 24).decode(), b"k" * 24)]
)
def test_the_standard_headers_are_accepted_by_the_standards_library(secret: str, key: bytes) -> None:
    with receiver([503]) as (url, got):
        deliver(url, secret, CHANGE, patience())
    headers, body = got[-1]
    assert got[0][0]["webhook-id"] == headers["webhook-id"] == "ETH-USDT_1h_2026-09-01T00:00:00Z"

    assert Webhook(key).verify(body, headers) == json.loads(body)

    for changed in (
        {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)},
        {"webhook-id": "ETH-USDT_1h_2026-09-01T01:00:00Z"},
    ):
        with pytest.raises(WebhookVerificationError, match="No matching"):
            Webhook(key).verify(body, headers | changed)


def test_a_copy_of_a_delivery_is_refused_after_five_minutes() -> None:
    body = b"{}"
    old = standard_headers(body, SECRET, "1", int(time.time()) - 301)
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET.encode()).verify(body, old)


def test_a_standard_secret_that_is_not_base64_is_refused() -> None:
    with pytest.raises(UsageError, match="not base64"):
        deliver("http://127.0.0.1:1/", "whsec_%", CHANGE, patience())


def test_a_refusal_is_final_and_an_unreachable_receiver_an_error() -> None:
    with receiver([410]) as (url, got), pytest.raises(SourceError, match="HTTP 410"):
        deliver(url, SECRET, CHANGE, patience())
    assert len(got) == 1
    with pytest.raises(SourceError, match=r"ConnectError .*tried 6 times"):
        deliver("http://127.0.0.1:1/", SECRET, CHANGE, patience())
    for url, secret in (("ftp://x", SECRET), ("http://127.0.0.1:1/", "")):
        with pytest.raises(UsageError, match="REGIME_HOOK"):
            deliver(url, secret, CHANGE, patience())


def test_what_could_not_be_sent_is_sent_the_next_time_and_nothing_twice(lively: Workspace) -> None:
    names = verdicts(lively)
    changes = [n for n in range(1, HOURS) if names[n] != names[n - 1]]
    start = max(changes[-3] - 1, HOURS - CATCH_UP_HOURS)
    memory = {str(ETH): {"hour": hour(start), "verdict": names[start]}}
    expected = [to_iso(hour(n)) for n in changes if n > start]
    told: list[str] = []

    def tell(change: VerdictChange) -> None:
        if len(told) == 1 and not failed:
            failed.append(1)
            raise SourceError("The receiver sleeps.")
        told.append(change.hour_start)

    failed: list[int] = []
    memory, count, failure = notify_changes(lively, memory, tell)
    assert (len(expected), count, failure) == (3, 1, "The receiver sleeps.")
    memory, _, failure = notify_changes(lively, memory, tell)
    assert (told, failure) == (expected, "")
    assert notify_changes(lively, memory, tell)[1] == 0
    assert set(memory) == {str(market) for market in lively.universe.markets}


def test_the_sensor_keeps_its_memory_in_the_cursor(lively: Workspace, database_url: str, tmp_path: Path) -> None:
    names = verdicts(lively)
    last = max(n for n in range(1, HOURS) if names[n] != names[n - 1])
    cursor = json.dumps({str(ETH): {"hour": hour(last - 1), "verdict": names[last - 1]}})
    with receiver([]) as (url, got), dg.instance_for_test() as instance:
        for given in (cursor, None):
            context = dg.build_sensor_context(instance=instance, cursor=given, resources={"workspace": lively})
            found = build_webhook_sensor(url, SECRET).evaluate_tick(context)
            assert json.loads(found.cursor or "")[str(ETH)] == {"hour": hour(HOURS - 1), "verdict": names[-1]}
        off = build_webhook_sensor("", "").evaluate_tick(
            dg.build_sensor_context(instance=instance, resources={"workspace": lively})
        )
        broken = build_webhook_sensor("ftp://x", SECRET).evaluate_tick(
            dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": lively})
        )

    assert len(got) == 1
    assert off.skip_message == "REGIME_HOOK_URL is not set."
    assert "REGIME_HOOK_URL or the webhook of a channel must be" in (broken.skip_message or "")
    with simulated_workspace(database_url, tmp_path, [ETH]) as empty:
        assert newest_verdict(replace(empty), ETH) is None
        assert notify_changes(empty, {}, lambda _: None) == ({}, 0, "")
