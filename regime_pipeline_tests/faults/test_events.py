"""The server killed and restarted around Dagster's events: each batch is stored once, whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from regime_pipeline.pipeline.bulk_events import BulkEventLogStorage
from regime_pipeline.pipeline.dagster_storage import RegimeDagsterStorage
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.urls import dagster_url
from regime_pipeline_tests.faults.test_writes import kept_alive, server
from regime_pipeline_tests.pipeline.factories import materialized

__all__ = ["server"]
pytestmark = [pytest.mark.faults, pytest.mark.postgres]

BATCHES, EVENTS = 12, 300


@pytest.fixture
def storage(server: EmbeddedServer) -> Iterator[BulkEventLogStorage]:
    events = RegimeDagsterStorage(dagster_url(server.attach())).event_log_storage
    assert isinstance(events, BulkEventLogStorage)
    yield events
    events.dispose()


def stored_batches(url: str) -> list[tuple[Any, ...]]:
    """Batches with the numbers of their events and tags."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT run_id, count(DISTINCT e.id), count(t.id) FROM event_logs AS e"
            " JOIN asset_event_tags AS t ON t.event_id = e.id GROUP BY run_id ORDER BY run_id"
        ).fetchall()


@pytest.mark.parametrize("point", ["_event_to_row", "_store_asset_event"])
def test_a_server_killed_before_or_within_a_batch_gets_it_once(
    server: EmbeddedServer, storage: BulkEventLogStorage, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    original, armed, kills = getattr(storage, point), [], []

    def kill_once(*given: Any) -> Any:
        if armed and armed.pop():
            os.kill(server.status().postmaster_pid or 0, signal.SIGKILL)
            kills.append(point)
        return original(*given)

    monkeypatch.setattr(storage, point, kill_once)
    with kept_alive(server):
        for number in range(BATCHES):
            armed.append(number % 4 == 3)
            storage.store_event_batch(materialized(EVENTS, f"{number:02d}"))
            armed.clear()

    assert len(kills) == BATCHES / 4
    assert stored_batches(server.attach()) == [(f"{number:02d}", EVENTS, EVENTS) for number in range(BATCHES)]
