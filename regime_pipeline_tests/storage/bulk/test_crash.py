"""A writer killed at any point leaves the old content or the new, in table, periods and ledger alike."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from regime_pipeline.storage.bulk.batch import prepare_batch
from regime_pipeline.storage.bulk.columns import CANDLE_REGIME
from regime_pipeline.storage.bulk.statements import lock
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.conftest import SOAK
from regime_pipeline_tests.storage.bulk.crash_client import POINTS, WINDOW
from regime_pipeline_tests.storage.bulk.test_regime_periods import assert_periods_are_from_scratch
from regime_pipeline_tests.storage.factories import MINUTES, begin, random_rows

pytestmark = pytest.mark.slow

SEEDS = (1, 2)


class Writer:
    """The program that forks writers and lets them die."""

    def __init__(self, url: str, run_id: int) -> None:
        program = Path(__file__).with_name("crash_client.py")
        self.process = subprocess.Popen(
            [sys.executable, program, url, str(run_id)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def write(self, seed: int, point: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{seed} {point}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture
def writer(each_warehouse: Warehouse) -> Iterator[Writer]:
    made = Writer(each_warehouse.url, begin(each_warehouse, MINUTES))
    yield made
    made.close()


def stored_seed(warehouse: Warehouse) -> int:
    """Which content the warehouse holds; fails unless it is one of the two, whole."""
    found = warehouse.read_range("candle_regime", MINUTES, WINDOW)
    hashes = warehouse.ledger("candle_regime", MINUTES, WINDOW).hashes
    assert_periods_are_from_scratch(warehouse, MINUTES)
    for seed in SEEDS:
        rows = random_rows(CANDLE_REGIME, MINUTES, WINDOW, seed)
        if all(found[name].tobytes() == values.tobytes() for name, values in rows.items()):
            assert np.array_equal(hashes, prepare_batch(CANDLE_REGIME, MINUTES, 1, WINDOW, rows, "cfg").hashes)
            return seed
    raise AssertionError("neither the old content nor the new")


def await_killed_writer(warehouse: Warehouse) -> None:
    """Wait for the server's end of a killed writer: it may be committing still, between two of the reads to come."""
    with psycopg.connect(warehouse.url) as connection, connection.cursor() as cursor:
        lock(cursor, [f"{CANDLE_REGIME.name}|{warehouse.series_id(MINUTES)}"])


def test_a_kill_at_any_named_point_changes_nothing(each_warehouse, writer):
    assert writer.write(1, "never") == "done"
    for point in POINTS:
        assert writer.write(2, point) == "killed", point
        assert stored_seed(each_warehouse) == 1, point
    assert writer.write(2, "never") == "done"
    assert stored_seed(each_warehouse) == 2


@pytest.mark.soak
def test_kills_at_random_moments_leave_old_or_new(each_warehouse, writer):
    assert writer.write(2, "never") == "done"  # the writers' parent starts with the first
    began = time.perf_counter()
    assert writer.write(1, "never") == "done"
    whole_ms = (time.perf_counter() - began) * 1000
    rng = np.random.default_rng(7)
    seed, killed, moved = 1, 0, 0
    for _ in range(30 * SOAK):
        killed += writer.write(3 - seed, f"after:{rng.uniform(0, 1.5 * whole_ms):.2f}") == "killed"
        await_killed_writer(each_warehouse)
        now = stored_seed(each_warehouse)
        moved += now != seed
        seed = now
    assert killed > 0
    assert 0 < moved < 30 * SOAK
