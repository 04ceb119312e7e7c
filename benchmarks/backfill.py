"""A year of twelve markets, backfilled as a user of the UI does it: `regime up`, GraphQL, daemon, runs.

Run `python -m benchmarks.backfill [--days 7]`; without `--days` it writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.document import markdown_table, write_section
from regime_pipeline.composition import open_databases, read_universe
from regime_pipeline.domain.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.window import Window, to_iso, to_ms
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline_tests.e2e.up_kit import Up, running_up, until

START_MS = to_ms("2025-01-01T00:00:00Z")
LONGEST_S = 7_200.0
TIMEFRAMES = ("1m", "15m", "1h")
RUNS = """query($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
  runId status creationTime startTime endTime stepStats { stepKey startTime endTime } } } } }"""
COUNT = (
    "SELECT count(DISTINCT (asset_key, partition)) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
)


@dataclass(frozen=True)
class Scene:
    """What is backfilled: symbols on three timeframes over some days, in partitions of an hour or a day."""

    symbols: int
    days: int
    grain: str

    @property
    def window(self) -> Window:
        return Window(START_MS, START_MS + self.days * DAY_MS)

    @property
    def markets_file(self) -> str:
        span = f"[partitions]\nstart = {to_iso(START_MS)}\nend = {to_iso(self.window.end_ms)}\n"
        entry = '\n[[markets]]\nsymbol = "S{:02d}-USDT"\ntimeframes = ["1m", "15m", "1h"]\nsource = "simulated"\n'
        return span + "".join(entry.format(number) for number in range(self.symbols))

    @property
    def partitions(self) -> int:
        return self.symbols * len(TIMEFRAMES) * self.days * (24 if self.grain == "hour" else 1)


@dataclass(frozen=True)
class Outcome:
    """Seconds from the launch to each milestone, and of each stage summed over the runs."""

    launched: float
    first_run: float
    submitted: float
    completed: float
    runs: int
    run_seconds: float
    stages: dict[str, float]
    materialized: int


def measure(scene: Scene) -> Outcome:
    """Backfill a scene in a home of its own, which is removed afterwards."""
    os.environ["REGIME_PARTITION"] = scene.grain
    home = Path(tempfile.mkdtemp(prefix="regime-backfill-"))
    home.chmod(0o755)
    try:
        with running_up(home, scene.markets_file) as up:
            return _backfill(up, scene)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _backfill(up: Up, scene: Scene) -> Outcome:
    step = HOUR_MS if scene.grain == "hour" else DAY_MS
    starts = range(scene.window.start_ms, scene.window.end_ms, step)
    markets = read_universe(up.settings).markets
    keys = [partition_key(market, start, scene.grain) for market in markets for start in starts]
    began = time.time()
    backfill = up.launch_backfill(keys)
    answered = time.time()
    assert until(LONGEST_S, lambda: up.end_of_backfill(backfill), "the backfill's end", 5.0) == "COMPLETED_SUCCESS"
    return _outcome(up, began, answered, time.time())


def _outcome(up: Up, began: float, answered: float, completed: float) -> Outcome:
    runs: list[dict[str, Any]] = up.graphql(RUNS, {"filter": {}})["runsOrError"]["results"]
    assert {run["status"] for run in runs} == {"SUCCESS"}
    stages: dict[str, float] = defaultdict(float)
    for run in runs:
        for step in run["stepStats"]:
            stages[step["stepKey"]] += step["endTime"] - step["startTime"]
    with psycopg.connect(open_databases(up.settings).dagster.replace("+psycopg2", "")) as connection:
        (materialized,) = connection.execute(COUNT).fetchone() or (0,)
    return Outcome(
        launched=answered - began,
        first_run=min(run["creationTime"] for run in runs) - began,
        submitted=max(run["creationTime"] for run in runs) - began,
        completed=completed - began,
        runs=len(runs),
        run_seconds=sum(run["endTime"] - run["startTime"] for run in runs),
        stages=dict(stages),
        materialized=int(materialized),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--symbols", type=int, default=4)
    parser.add_argument("--grain", choices=["hour", "day"], default="hour")
    chosen = parser.parse_args()
    scene = Scene(chosen.symbols, chosen.days, chosen.grain)
    outcome = measure(scene)
    print(scene, scene.partitions, outcome)


if __name__ == "__main__":
    main()
