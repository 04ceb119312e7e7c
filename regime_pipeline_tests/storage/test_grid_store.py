"""Tests of `storage.grid_store`: versions and stops are appended once, and make advice stale from their moment on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from regime_pipeline.domain.grids.config import GridConfig, StaleGridError
from regime_pipeline.domain.grids.versions import History, new_version
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.domain.grids.factories import FIELDS

WHEN = datetime(2026, 9, 1, tzinfo=UTC)


def grown(history: History, day: int, **update: object) -> History:
    fields = FIELDS if not history else {}
    when = WHEN.replace(day=day)
    return new_version(history, {**fields, **update}, expected_version=len(history), who="ada", when=when, why="a test")


@pytest.fixture
def warehouse(each_postgres_url: str) -> Iterator[Warehouse]:
    migrate.upgrade(each_postgres_url)
    with Warehouse(each_postgres_url) as opened:
        yield opened


def test_versions_come_back_as_they_were_oldest_first(warehouse: Warehouse) -> None:
    history = grown(grown((), 1), 2, enabled=False)
    run_id = warehouse.start_run("test", "")
    assert warehouse.grids.history(history[0].symbol) == ()

    for config in history:
        warehouse.grids.append(config, run_id)

    assert warehouse.grids.history(history[0].symbol) == history
    assert warehouse.grids.symbols() == [history[0].symbol]
    assert warehouse.grids.history("NOBODY-USDT") == ()


def test_of_racing_updates_on_one_version_exactly_one_is_stored(warehouse: Warehouse) -> None:
    first = grown((), 1)
    warehouse.grids.append(first[0], warehouse.start_run("test", ""))
    rivals = [grown(first, 2 + number, levels=5 + number)[-1] for number in range(8)]

    def store(config: GridConfig) -> bool:
        with contextlib.suppress(StaleGridError):
            warehouse.grids.append(config, warehouse.start_run("test", ""))
            return True
        return False

    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(store, rivals))

    assert stored.count(True) == 1
    with pytest.raises(StaleGridError, match="Version 2 of the grid of TEST-USDT was stored by somebody else"):
        warehouse.grids.append(rivals[0], warehouse.start_run("test", ""))
    assert warehouse.grids.history(first[0].symbol) == (first[0], rivals[stored.index(True)])


def test_a_stop_is_stored_once(warehouse: Warehouse) -> None:
    stop = StopEvent("ETH-USDT", 1_788_000_000_123, "MANUAL", "ada", "news")
    run_id = warehouse.start_run("test", "")

    assert warehouse.grids.add_stop(stop, run_id)
    assert not warehouse.grids.add_stop(stop, run_id)

    assert warehouse.grids.stops("ETH-USDT") == [stop]
    assert warehouse.grids.stops("BTC-USDT") == []
