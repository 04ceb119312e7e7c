"""A year of twelve markets, backfilled as a user of the UI does it: `regime up`, GraphQL, daemon, runs.

Run `python -m benchmarks.backfill [--grain day --symbols 50 --days 14] [--quick]`; each grain has a section of
`docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import psycopg

from benchmarks.document import markdown_table, write_section
from regime_pipeline.bootstrap import open_databases, read_universe
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.storage.embedded.server import embedded_server
from regime_pipeline_tests.e2e.regime_up import Up, running_up, until

START_MS = to_ms("2025-01-01T00:00:00Z")
LONGEST_S = 7_200.0
TIMEFRAMES = ("1m", "15m", "1h")
COUNT = (
    "SELECT count(DISTINCT (asset_key, partition)) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
)

STEPS = (
    "SELECT step_key, sum(CASE dagster_event_type WHEN 'STEP_START' THEN -1 ELSE 1 END * "
    "extract(epoch FROM timestamp))::float8 FROM event_logs "
    "WHERE dagster_event_type IN ('STEP_START', 'STEP_SUCCESS') GROUP BY 1"
)
"""Seconds of each stage summed over the runs; asking the UI for them takes minutes after a year's events."""

INTRODUCTION = """## Backfills through the UI, partitions of {grain}s

`python -m benchmarks.backfill{options}`: `regime up` in a new home, the backfill launched over GraphQL as the UI does,
runs started by the daemon two at a time (`dagster.yaml`), embedded PostgreSQL, simulated candles on 1m, 15m and 1h, all
eight assets, {cores} cores, {machine}, Python {python}. Wall time depends on what else the machine did, see its load
average. Processor time is that of every process of `regime up` and of PostgreSQL; half of it is the least that two idle
cores need. {remark}"""
REMARKS = {
    "hour": """Goal: a year of twelve markets in at most 6 minutes. The chain alone takes 17 s for a year of minutes
(section Hourly tables), so two thirds of the processor time are Dagster's, mostly for its records of 70,080
materializations a market and year.""",
    "day": """Goal: a year of 150 markets in at most 20 minutes. A day's bookkeeping is a 24th of that of hours, so a
larger universe is backfilled so, and a market's day of snapshots is one file. A span of more
days than markets is one run per market, a shorter one is a run per day over all of them.""",
}
YEAR_MARKETS = {"hour": 12, "day": 150}
"""Markets of the year that is extrapolated."""


@dataclass(frozen=True)
class Scene:
    """What is backfilled: symbols on three timeframes over some days, in partitions of an hour or a day."""

    symbols: int
    days: int
    grain: str

    @property
    def window(self) -> Window:
        """All hours."""
        return Window(START_MS, START_MS + self.days * DAY_MS)

    @property
    def markets_file(self) -> str:
        """The text of markets.toml."""
        span = f"[partitions]\nstart = {to_iso(START_MS)}\nend = {to_iso(self.window.end_ms)}\n"
        entry = '\n[[markets]]\nsymbol = "S{:02d}-USDT"\ntimeframes = ["1m", "15m", "1h"]\nsource = "simulated"\n'
        return span + "".join(entry.format(number) for number in range(self.symbols))

    @property
    def partitions(self) -> int:
        """How many partitions each asset has."""
        return self.symbols * len(TIMEFRAMES) * self.days * (24 if self.grain == "hour" else 1)


@dataclass(frozen=True)
class Outcome:
    """Seconds from the launch to each milestone, and of each stage summed over the runs."""

    launched: float
    first_run: float
    submitted: float
    completed: float
    runs: int
    processor: float
    load: float
    stages: dict[str, float]
    materialized: int


def measure(scene: Scene) -> Outcome:
    """Backfill a scene in a home of its own, which is removed afterwards."""
    os.environ["REGIME_PARTITION"] = scene.grain
    home = Path(tempfile.mkdtemp(prefix="regime-backfill-"))
    home.chmod(0o755)
    try:
        before = os.times()
        with running_up(home, scene.markets_file) as up:
            outcome = _backfill(up, scene)
            server = psutil.Process(postmaster(up)).cpu_times()
            up.process.send_signal(signal.SIGINT)
            up.process.wait(120)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        return replace(outcome, processor=outcome.processor + spent + server.children_user + server.children_system)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def postmaster(up: Up) -> int:
    """The embedded server's first process; those it has reaped count as its children."""
    return embedded_server(up.settings.home, up.settings.postgres_account).status().postmaster_pid or 0


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
    runs = up.runs()
    assert {run["status"] for run in runs} == {"SUCCESS"}
    with psycopg.connect(open_databases(up.settings).dagster.replace("+psycopg2", "")) as connection:
        (materialized,) = connection.execute(COUNT).fetchone() or (0,)
        stages = dict(connection.execute(STEPS).fetchall())
    return Outcome(
        launched=answered - began,
        first_run=min(run["creationTime"] for run in runs) - began,
        submitted=max(run["creationTime"] for run in runs) - began,
        completed=completed - began,
        runs=len(runs),
        processor=sum(sum(p.cpu_times()[:2]) for p in psutil.Process(postmaster(up)).children()),
        load=os.getloadavg()[2],
        stages=stages,
        materialized=int(materialized),
    )


def described(scene: Scene, found: Outcome) -> list[tuple[str, str]]:
    """The rows of the table."""
    markets, working = scene.symbols * len(TIMEFRAMES), found.completed - found.first_run
    factor = YEAR_MARKETS[scene.grain] * 365 / (markets * scene.days)
    total = sum(found.stages.values())
    rows = [
        ("backfilled", f"{markets} markets x {scene.days} days"),
        ("partitions x assets", f"{scene.partitions:,} x {len(STAGES)}"),
        ("materializations on record, each once", f"{found.materialized:,}"),
        ("launch answered after", f"{found.launched:.1f} s"),
        ("first run asked for after", f"{found.first_run:.0f} s"),
        ("last run asked for after", f"{found.submitted:.0f} s"),
        ("completed after", f"**{found.completed / 60:.1f} min**"),
        ("processor time", f"{found.processor / 60:.1f} min"),
        ("load average, 15 minutes", f"{found.load:.1f}"),
        ("runs", f"{found.runs}, {total / found.runs:.0f} s of stages each"),
        ("market hours a second", f"{markets * len(scene.window) / working:,.0f}"),
        *((f"`{stage}`", f"{seconds / total:.0%} of the stages") for stage, seconds in found.stages.items()),
    ]
    if factor > 1.01:
        label = f"extrapolated: a year of {YEAR_MARKETS[scene.grain]} markets, wall / processor"
        spans = [f"{(found.first_run + working * factor) / 60:,.0f} min", f"{found.processor * factor / 60:,.0f} min"]
        rows.append((label, " / ".join(spans)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--symbols", type=int, default=4)
    parser.add_argument("--grain", choices=["hour", "day"], default="hour")
    parser.add_argument("--quick", action="store_true", help="two days of one symbol; the page is left alone")
    chosen = parser.parse_args()
    scene = Scene(1, 2, chosen.grain) if chosen.quick else Scene(chosen.symbols, chosen.days, chosen.grain)
    table = markdown_table(["what", "measured"], described(scene, measure(scene)))
    print(table)
    if not chosen.quick:
        given = {"--grain": scene.grain, "--symbols": scene.symbols, "--days": scene.days}
        options = "".join(f" {n} {v}" for n, v in given.items() if v != parser.get_default(n.strip("-")))
        introduction = INTRODUCTION.format(
            grain=scene.grain, options=options, cores=os.cpu_count(), machine=platform.machine(),
            python=platform.python_version(), remark=REMARKS[scene.grain],
        )  # fmt: skip
        write_section(f"backfill_{scene.grain}", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
