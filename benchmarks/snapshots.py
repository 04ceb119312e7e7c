"""Snapshot files against their goals: reading a month beside the bare reads of its files, and writing it durably.

Run `python -m benchmarks.snapshots [--quick]`; it works in a temporary folder and writes its section of
`docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, build_snapshots
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, to_ms
from regime_pipeline.storage.snapshots.codec import encode
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.snapshots.validation import decode

MONTH = Window(to_ms("2020-03-01T00:00:00Z"), to_ms("2020-03-31T00:00:00Z"))
GOAL = 4.0
INTRODUCTION = """## Snapshot files

`python -m benchmarks.snapshots`: a month of one market, {hours} files, warm cache, medians of {repeats} interleaved
rounds, microseconds per file, on {cores} cores of {machine}. "Bare reads" are `open`, `read`, `close` as system calls;
"Python reads" are `open(path, "rb").read()`. Every read of ours finds the newest revision and checks each file's hash.
Goal: a month of 1h files in at most {goal:g}x the bare reads."""


def month_of(market: Market) -> list[HourSnapshot]:
    """Snapshots of a random walk."""
    times = bars_closing_in(market, MONTH)
    noise = np.random.default_rng(1)
    close = 2_000_000 + np.cumsum(noise.integers(-200, 201, len(times)))
    first = np.roll(close, 1)
    high, low = np.maximum(first, close) + 30, np.minimum(first, close) - 20
    candles = Candles(market, 100, times, first, high, low, close, noise.random(len(times)) * 100)
    status = np.zeros(len(MONTH), dtype=np.int8)
    return build_snapshots(candles, status, MONTH, source="benchmark", config_hash="", collected_at_ms=MONTH.end_ms)


def bare_reads(paths: Sequence[str]) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.read(handle, 1 << 16)
        os.close(handle)


def python_reads(paths: Sequence[str]) -> None:
    for path in paths:
        with open(path, "rb") as file:  # noqa: PTH123 - what is measured
            file.read()


def frames(paths: Sequence[str]) -> pd.DataFrame:
    """The usual way: a frame per file, concatenated."""
    return pd.concat([pd.DataFrame(json.loads(Path(path).read_text("utf-8"))["bars"]) for path in paths])


def medians(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median microseconds per file of each way, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(took) / len(MONTH) * 1e6 for name, took in seconds.items()}


def measure(timeframe: str, repeats: int) -> dict[str, float]:
    """Every figure of one timeframe."""
    market = Market("ETH-USDT", timeframe)
    snapshots = month_of(market)
    encoded = [encode(snapshot) for snapshot in snapshots]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as root:
        store = SnapshotStore(root)
        begin = time.perf_counter()
        store.write(snapshots)
        written = time.perf_counter() - begin
        begin = time.perf_counter()
        store.write(snapshots)
        again = time.perf_counter() - begin
        paths = [str(path) for path in sorted(Path(root).rglob("*.json"))]
        figures = medians(
            {
                "bare reads": lambda: bare_reads(paths),
                "Python reads": lambda: python_reads(paths),
                "`read_candles`": lambda: store.read_candles(market, MONTH.start_ms - HOUR_MS * 24, MONTH.end_ms),
                "`read_statuses`": lambda: store.read_statuses(market, MONTH),
                "json and a DataFrame per file": lambda: frames(paths),
            },
            repeats,
        )
    figures["strict `decode` (without reading)"] = medians({"": lambda: list(map(decode, encoded))}, repeats)[""]
    figures["`encode`"] = medians({"": lambda: list(map(encode, snapshots))}, repeats)[""]
    figures["`write`, synced"] = written / len(MONTH) * 1e6
    figures["`write` of unchanged content"] = again / len(MONTH) * 1e6
    figures["bytes per file"] = sum(map(len, encoded)) / len(encoded)
    return figures


def report(repeats: int) -> tuple[str, float]:
    """The section's text, and the ratio that has a goal."""
    columns = {timeframe: measure(timeframe, repeats) for timeframe in ("1h", "1m")}
    rows = []
    for name in columns["1h"]:
        cells = [f"{column[name]:,.1f}" for column in columns.values()]
        ratios = [f"{column[name] / column['bare reads']:.1f}x" for column in columns.values()]
        rows.append([name, *cells, *(["", ""] if name.startswith("bytes") else ratios)])
    header = ["", "1h", "1m", "1h / bare", "1m / bare"]
    ratio = columns["1h"]["`read_candles`"] / columns["1h"]["bare reads"]
    introduction = INTRODUCTION.format(
        hours=len(MONTH), repeats=repeats, cores=os.cpu_count(), machine=platform.machine(), goal=GOAL
    )
    verdict = f"Measured for 1h: {ratio:.2f}x ({'met' if ratio <= GOAL else 'MISSED'})."
    return f"{introduction}\n\n{markdown_table(header, rows)}\n\n{verdict}", ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and the page is left as it is")
    quick = parser.parse_args().quick
    text, ratio = report(5 if quick else 25)
    print(text)
    if not quick:
        write_section("snapshots", text)
    if ratio > GOAL:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
