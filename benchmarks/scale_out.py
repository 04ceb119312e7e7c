"""One Celery worker against two: the same backfill over the topology of docker/, as plain processes on this machine.

Run `python -m benchmarks.scale_out [--quick]`; it writes its section of `docs/benchmarks.md`. Redis and a PostgreSQL
over TCP are needed, as for the test of the same name.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

from celery import Celery

from benchmarks.document import markdown_table, write_section
from regime_pipeline.bootstrap import read_universe
from regime_pipeline.domain.market_data.market import DAY_MS
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline_tests.e2e.cluster import redis_server, running_cluster, runs_by_worker, two_databases
from regime_pipeline_tests.e2e.regime_up import Up, until

DAYS = 60
START_MS = to_ms("2025-01-01T00:00:00Z")
MARKETS = """
[partitions]
start = 2025-01-01T00:00:00Z
end = 2026-07-01T00:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1m", "15m", "1h"]
source = "simulated"

[[markets]]
symbol = "BRAVO-USDT"
timeframes = ["1m", "15m", "1h"]
source = "simulated"
"""
INTRODUCTION = """## Workers

`python -m benchmarks.scale_out`: a backfill of 6 markets x {days} days, 6 runs, over the roles of `docker/` as plain
processes (`docker/local.py`), with one worker taking runs and with both, in turn, {rounds} rounds, medians, workers
warm, each time on hours of its own. From the first run's start to the last run's end, so Dagster's queue (asked every
second) is in it. PostgreSQL {where}, Redis, daemon and UI share the same {cores} cores ({machine}, Python
{python}), so two workers on two cores cannot double the rate; on machines of their own they would have their own."""


def backfill_seconds(cluster: Up, window: Window) -> float:
    """Seconds from the first run's start to the last one's end."""
    markets = read_universe(cluster.settings).markets
    before = {run["runId"] for run in cluster.runs()}
    cluster.launch_hours(window)

    def finished() -> list[dict[str, Any]] | None:
        mine = [run for run in cluster.runs() if run["runId"] not in before]
        assert all(run["status"] not in ("FAILURE", "CANCELED") for run in mine)
        return mine if [run["status"] for run in mine] == ["SUCCESS"] * len(markets) else None

    runs = until(1_200, finished, "the end of every market's run")
    return float(max(run["endTime"] for run in runs) - min(run["startTime"] for run in runs))


def measure(cluster: Up, redis: str, rounds: int, days: int) -> dict[int, list[float]]:
    """Seconds by number of workers; both are warmed first, then one of them pauses every other time."""
    workers = sorted(until(60, lambda: found if len(found := runs_by_worker(redis)) == 2 else None, "both workers"))
    windows = [Window(START_MS + n * days * DAY_MS, START_MS + (n + 1) * days * DAY_MS) for n in range(2 * rounds + 1)]
    taken: dict[int, list[float]] = {1: [], 2: []}
    backfill_seconds(cluster, windows[0])
    with Celery(broker=f"{redis}/0") as app:
        for number, window in enumerate(windows[1:]):
            count = number % 2 + 1
            order = app.control.cancel_consumer if count == 1 else app.control.add_consumer
            order("dagster", destination=workers[1:], reply=True)
            before = runs_by_worker(redis)
            taken[count].append(backfill_seconds(cluster, window))
            moved = [name for name, runs in runs_by_worker(redis).items() if runs > before[name]]
            assert len(moved) == count, moved
            print(f"{count} workers: {taken[count][-1]:.1f} s", flush=True)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_out", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; the page is left alone")
    is_quick = parser.parse_args().quick
    rounds, days = (1, 5) if is_quick else (2, DAYS)
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server() as redis,
        two_databases() as database,
        running_cluster(Path(folder) / "home", MARKETS, database, redis, workers=2) as cluster,
    ):
        taken = measure(cluster, redis, rounds, days)
    partitions = 6 * days * 24
    one, two = (statistics.median(taken[count]) for count in (1, 2))
    rows = [
        [f"{count} worker{'s' if count > 1 else ''}", f"{seconds:.0f} s", f"{partitions / seconds:.0f}", ratio]
        for count, seconds, ratio in ((1, one, ""), (2, two, f"**{one / two:.2f}x**"))
    ]
    table = markdown_table(["runs on", "backfill", "market hours a second", "ratio"], rows)
    print(table)
    if not is_quick:
        introduction = INTRODUCTION.format(
            days=days, rounds=rounds, where="15 over TCP", cores=os.cpu_count(), machine=platform.machine(),
            python=platform.python_version(),
        )  # fmt: skip
        write_section("scale_out", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
