"""Data for the warehouse tests: markets, windows, and random rows of any bulk table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, to_ms
from regime_pipeline.storage.bulk.columns import NO_TIME, BulkTable, StoredColumn
from regime_pipeline.storage.bulk.diff import WriteReport
from regime_pipeline.storage.warehouse import Warehouse

ETH = Market("ETH-USDT", "1h")
MINUTES = Market("SOL-USDT", "1m")
START_MS = to_ms("2024-03-01T00:00:00Z")
SCALE = 100
Rows = dict[str, NDArray[Any]]


def hours(first: int, count: int) -> Window:
    """A window that starts `first` hours after `START_MS`."""
    return Window(START_MS + first * HOUR_MS, START_MS + (first + count) * HOUR_MS)


def begin(warehouse: Warehouse, *markets: Market, config: str = "cfg") -> int:
    """Create the markets and start a run."""
    for market in markets:
        warehouse.series_id(market, venue="simulated", price_scale=SCALE)
    return warehouse.start_run("1.0", config)


def keys(table: BulkTable, market: Market, window: Window) -> NDArray[np.int64]:
    """Every key of the table in the window."""
    return bars_closing_in(market, window) if table.is_per_bar else window.hours


def random_rows(table: BulkTable, market: Market, window: Window, seed: int = 0) -> Rows:
    """A row for every key, with absent values, odd floats and texts beyond ASCII."""
    rng = np.random.default_rng(seed)
    times = keys(table, market, window)
    return {table.time: times, **{c.name: _random(c, len(times), rng, times) for c in table.columns}}


def _random(column: StoredColumn, n: int, rng: np.random.Generator, times: NDArray[np.int64]) -> NDArray[Any]:
    if column.kind == "float":
        odd = np.array([-0.0, np.inf, 5e-324, 1.7976931348623157e308])
        values = np.where(rng.random(n) < 0.1, rng.choice(odd, n), rng.normal(size=n))
        return np.where(rng.random(n) < 0.3, np.nan, values) if column.is_nullable else rng.random(n)
    if column.kind == "time":
        return np.where(rng.random(n) < 0.2, NO_TIME, times - HOUR_MS)
    if column.kind == "text":
        return np.array([f"ratio ≥ {value}" for value in rng.integers(0, 5, n)], dtype=object)
    if column.kind == "json":
        documents = np.empty(n, dtype=object)
        documents[:] = [[{"verdict": "TREND", "weight": float(value), "né": None}] for value in rng.random(n)]
        return documents
    if column.kind == "label":
        return rng.integers(0, len(column.categories), n).astype(np.int8)
    return {
        "real": lambda: rng.random(n).astype(np.float32),
        "int": lambda: rng.integers(-(2**31), 2**31, n).astype(np.int32),
        "short": lambda: rng.integers(0, 19, n).astype(np.int16),
        "flag": lambda: rng.random(n) < 0.5,
    }[column.kind]()


def assert_same_rows(found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    """Equal names, types and bits (texts and documents: equal values)."""
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype, name
        if values.dtype == object:
            assert found[name].tolist() == values.tolist(), name
        else:
            assert found[name].tobytes() == values.tobytes(), name


def random_candles(market: Market, window: Window, seed: int = 0) -> Candles:
    """Every bar that closes in the window."""
    rng = np.random.default_rng(seed)
    opens = bars_closing_in(market, window)
    close = 300_000 + rng.integers(-500, 500, len(opens))
    return Candles(market, SCALE, opens, close - 3, close + 10, close - 10, close, rng.random(len(opens)))


def write_candles(
    warehouse: Warehouse, candles: Candles, window: Window, run_id: int, reach: Mapping[str, int] | None = None
) -> tuple[WriteReport, WriteReport]:
    """Write candles with the statuses of their hours."""
    statuses = hour_statuses(candles.market, window, candles, ())
    return warehouse.replace_candles(candles.market, window, candles, statuses, run_id, reach or {})


def changed(candles: Candles, row: int, ticks: int) -> Candles:
    """The same candles with another close in one row."""
    close = candles.close.copy()
    close[row] += ticks
    bars = (candles.open_time_ms, candles.open, np.maximum(candles.high, close), np.minimum(candles.low, close))
    return Candles(candles.market, candles.price_scale, *bars, close, candles.volume)


def without(candles: Candles, *rows: int) -> Candles:
    """The same candles without some rows."""
    keep = np.ones(len(candles), dtype=np.bool_)
    keep[list(rows)] = False
    return candles[keep]
