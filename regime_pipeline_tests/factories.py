"""A workspace for tests: simulated markets, a clock that stands still, a database and a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.chain.stages import STAGES, StageReport
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.universe import MarketSpec, Universe
from regime_pipeline.sources.base import CandleSource
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse

START = to_ms("2026-09-01T00:00:00Z")
NOW = to_ms("2026-12-31T00:00:00Z")
TABLES = (
    "candles",
    "candle_hours",
    "candle_regime",
    "features",
    "scores",
    "regime_verdicts",
    "grid_advice",
    "dashboard_hours",
)
LINEAGE = {"run_id"}
"""Columns that say who wrote a row, not what is in it."""


def hours_from_start(first: int, last: int) -> Window:
    """Window of the hours `first` to `last` (exclusive) after the start of the tests' time."""
    return Window(START + first * HOUR_MS, START + last * HOUR_MS)


@contextmanager
def simulated_workspace(
    database_url: str,
    folder: Path,
    markets: Sequence[Market],
    *,
    policy: Policy | None = None,
    source: CandleSource | None = None,
    clock: Callable[[], int] = lambda: NOW,
) -> Iterator[Workspace]:
    """Open a workspace on an empty database."""
    migrate.upgrade(database_url)
    found = source or SimulatedSource(7, clock, 100)
    with Warehouse(database_url) as warehouse:
        yield Workspace(
            warehouse=warehouse,
            snapshots=SnapshotStore(str(folder)),
            universe=Universe(tuple(MarketSpec(m, "simulated", 100) for m in markets), START, NOW),
            source_of=lambda _: found,
            policy=policy or default_policy(),
            nulls=default_null_table(),
            clock=clock,
        )


def run_stages(ws: Workspace, market: Market, windows: Iterable[Window]) -> list[StageReport]:
    """Run the whole chain over each window in turn, as separate runs would."""
    return [
        stage.run(ws, ws.start_run(stage.config_hash(ws.policy, ws.nulls)), market, window)
        for window in windows
        for stage in STAGES
    ]


def dump(ws: Workspace, market: Market, window: Window) -> dict[str, dict[str, NDArray[Any]]]:
    """Every column of every table over a window, but for lineage."""
    tables = {table: ws.warehouse.read_range(table, market, window) for table in TABLES}
    return {
        table: {name: column for name, column in rows.items() if name not in LINEAGE} for table, rows in tables.items()
    }


def assert_same_bytes(left: dict[str, dict[str, NDArray[Any]]], right: dict[str, dict[str, NDArray[Any]]]) -> None:
    """Fail with the table, column and row of the first difference, down to the last bit."""
    assert left.keys() == right.keys()
    for table, columns in left.items():
        assert columns.keys() == right[table].keys()
        for name, column in columns.items():
            other = right[table][name]
            assert column.dtype == other.dtype, f"{table}.{name}"
            assert len(column) == len(other), f"{table}.{name}: {len(column)} rows and {len(other)}"
            same = _bitwise_equal(column, other)
            assert same.all(), f"{table}.{name} differs first in row {int(np.argmin(same))}"


def _bitwise_equal(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    if left.dtype.kind == "f":
        integer = f"i{left.dtype.itemsize}"
        return np.asarray((left.view(integer) == right.view(integer)) | (np.isnan(left) & np.isnan(right)))
    return np.asarray(left == right, dtype=np.bool_)
