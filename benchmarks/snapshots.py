"""Snapshot files against their goals: a month beside the bare reads of its files and beside one Parquet file of it.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.document import markdown_table, write_section
from benchmarks.rounds import interleaved, seconds
from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, build_snapshots
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, to_ms
from regime_pipeline.storage.snapshots.codec import encode, to_document
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.snapshots.validation import decode

MONTH = Window(to_ms("2020-03-01T00:00:00Z"), to_ms("2020-03-31T00:00:00Z"))
GOAL, PARQUET_GOAL = 4.0, 3.0
"""Hourly files in at most this much of the bare reads (1h), daily files of one Parquet file (each timeframe)."""
WRITES = 5
INTRODUCTION = """## Snapshot files

`python -m benchmarks.snapshots`: a month of one market, {hours} files, warm cache, medians of {repeats} interleaved
rounds, microseconds per hour, on {cores} cores of {machine}, load average {load:.1f} with what else the machine did.
"Bare reads" are `open`, `read`, `close` as system calls; "Python reads" are `open(path, "rb").read()`. Every
read of ours finds the newest revision and checks each file's hash.
**One Parquet file** holds the month's bars and, beside the schema, every hour's metadata; reading is
`pyarrow.parquet.read_table` and `to_pandas`, writing ends with `fsync`. It does not keep what an hour said before a
correction, check a hash, read or parse the metadata hour by hour, or take one more hour without a whole rewrite; two
writers overwrite each other.
"Daily files" is the same store, filled as a backfill by the day fills it ([storage](storage.md#where-they-are)).
Goals for `read_candles`: hourly files at most {goal:g}x their bare reads for 1h, daily files at most
{parquet_goal:g}x one Parquet file."""


@dataclass(frozen=True)
class Layout:
    """Another way to keep the month; each gets rows for reading and for writing.

    Parameters
    ----------
    name : str
        First words of its rows.
    write : callable
        Stores snapshots durably in a new, empty folder.
    read : callable
        Returns the month's bars of a market from that folder.
    """

    name: str
    write: Callable[[Path, Sequence[HourSnapshot]], object]
    read: Callable[[Path, Market], object]

    @property
    def read_row(self) -> str:
        """Name of the row on reading."""
        return f"{self.name}: read"

    @property
    def write_row(self) -> str:
        """Name of the row on writing."""
        return f"{self.name}: write, synced"


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


def write_parquet(folder: Path, snapshots: Sequence[HourSnapshot]) -> None:
    """Write the bars as one table, prices in ticks, with the hours' metadata as JSON beside the schema."""
    columns = {name: np.concatenate([getattr(s.bars, name) for s in snapshots]) for name in COLUMNS}
    hours = json.dumps([to_document(snapshot)["metadata"] for snapshot in snapshots])
    table = pa.table(columns).replace_schema_metadata({"hours": hours})
    with (folder / "month.parquet").open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())


def read_parquet(folder: Path, _: Market) -> pd.DataFrame:
    return pq.read_table(folder / "month.parquet").to_pandas()


def write_days(folder: Path, snapshots: Sequence[HourSnapshot]) -> None:
    SnapshotStore(str(folder), by_day=True).write(snapshots)


def read_days(folder: Path, market: Market) -> Candles:
    return SnapshotStore(str(folder)).read_candles(market, MONTH.start_ms - HOUR_MS * 24, MONTH.end_ms)


PARQUET = Layout("one Parquet file", write_parquet, read_parquet)
DAYS = Layout("daily files", write_days, read_days)
LAYOUTS = (PARQUET, DAYS)


def medians(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median microseconds per hour of each way, measured in turns."""
    return {name: took / len(MONTH) * 1e6 for name, took in interleaved(repeats, ways).items()}


def measure(timeframe: str, repeats: int, layouts: Sequence[Layout] = LAYOUTS) -> dict[str, float]:
    """Every figure of one timeframe, by row."""
    market = Market("ETH-USDT", timeframe)
    snapshots = month_of(market)
    encoded = [encode(snapshot) for snapshot in snapshots]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as root, tempfile.TemporaryDirectory(dir=Path.cwd()) as others:
        store = SnapshotStore(root)
        written, again = (seconds(partial(store.write, snapshots)) for _ in range(2))
        places = {layout: Path(others) / str(number) for number, layout in enumerate(layouts)}
        kept = {layout.write_row: _write_s(layout, place, snapshots) for layout, place in places.items()}
        paths = [str(path) for path in sorted(Path(root).rglob("*.json"))]
        figures = medians(
            {
                "bare reads": lambda: bare_reads(paths),
                "Python reads": lambda: python_reads(paths),
                "`read_candles`": lambda: store.read_candles(market, MONTH.start_ms - HOUR_MS * 24, MONTH.end_ms),
                "`read_statuses`": lambda: store.read_statuses(market, MONTH),
                "json and a DataFrame per file": lambda: frames(paths),
                **{layout.read_row: partial(layout.read, place / "0", market) for layout, place in places.items()},
            },
            repeats,
        )
    figures["strict `decode` (without reading)"] = medians({"": lambda: list(map(decode, encoded))}, repeats)[""]
    figures["`encode`"] = medians({"": lambda: list(map(encode, snapshots))}, repeats)[""]
    figures["`write`, synced"] = written / len(MONTH) * 1e6
    figures |= {name: took / len(MONTH) * 1e6 for name, took in kept.items()}
    figures["`write` of unchanged content"] = again / len(MONTH) * 1e6
    figures["bytes per file"] = sum(map(len, encoded)) / len(encoded)
    return figures


def _write_s(layout: Layout, place: Path, snapshots: Sequence[HourSnapshot]) -> float:
    """Median seconds of writing the month into folders `0`, `1`, ... of a place."""
    folders = [place / str(number) for number in range(WRITES)]
    for folder in folders:
        folder.mkdir(parents=True)
    return statistics.median(seconds(partial(layout.write, folder, snapshots)) for folder in folders)


def ratios(name: str, columns: Sequence[dict[str, float]]) -> list[str]:
    """A row's cells beside the bare reads, and beside reading or writing one Parquet file."""
    if name.startswith("bytes"):
        return [""] * 2 * len(columns)
    peer = PARQUET.write_row if "write" in name or "encode" in name else PARQUET.read_row
    return [f"{column[name] / column[base]:.1f}x" for base in ("bare reads", peer) for column in columns]


def judged(ratio: float, goal: float) -> str:
    return f"{ratio:.2f}x, {'met' if ratio <= goal else 'MISSED'}"


def report(repeats: int) -> str:
    """The section's text."""
    columns = {timeframe: measure(timeframe, repeats) for timeframe in ("1h", "1m")}
    by_timeframe = list(columns.values())
    rows = [
        [name, *(f"{column[name]:,.1f}" for column in by_timeframe), *ratios(name, by_timeframe)]
        for name in by_timeframe[0]
    ]
    header = ["", "1h", "1m", "1h / bare", "1m / bare", "1h / Parquet", "1m / Parquet"]
    introduction = INTRODUCTION.format(
        hours=len(MONTH),
        repeats=repeats,
        cores=os.cpu_count(),
        machine=platform.machine(),
        load=os.getloadavg()[1],
        goal=GOAL,
        parquet_goal=PARQUET_GOAL,
    )
    beside = {
        base: {timeframe: column["`read_candles`"] / column[base] for timeframe, column in columns.items()}
        for base in ("bare reads", PARQUET.read_row)
    }
    of_days = "; ".join(
        f"{timeframe} {judged(column[DAYS.read_row] / column[PARQUET.read_row], PARQUET_GOAL)} (hourly files "
        f"{beside[PARQUET.read_row][timeframe]:.2f}x)"
        for timeframe, column in columns.items()
    )
    verdict = (
        f"Hourly files beside the bare reads: 1h {judged(beside['bare reads']['1h'], GOAL)}. Daily files beside "
        f"one Parquet file: {of_days}."
    )
    return f"{introduction}\n\n{markdown_table(header, rows)}\n\n{verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and the page is left as it is")
    quick = parser.parse_args().quick
    text = report(5 if quick else 25)
    print(text)
    if not quick:
        write_section("snapshots", text)


if __name__ == "__main__":
    main()
