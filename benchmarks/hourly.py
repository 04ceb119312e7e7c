"""The hourly tables' bytes a row in the database and in the lake, and the chain's hours a second, on simulated markets.

Run `python -m benchmarks.hourly [--quick]`; it starts an embedded server of its own and writes `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.policy import default_policy
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.universe import MarketSpec, Universe
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.bulk.columns import BULK_TABLES
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.lake.export import export_lake
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse

FIGURES = Path(__file__).with_name("hourly.json")
START = to_ms("2024-01-01T00:00:00Z")
CHUNK_HOURS = 24 * 7
TABLES = tuple(name for name, table in BULK_TABLES.items() if not table.is_per_bar)
INTRODUCTION = """## Hourly tables

`python -m benchmarks.hourly`: the whole chain over {markets} simulated 1m markets x {hours:,} hours, week by week,
outside Dagster, in one process; with indexes, vacuumed; the lake by `regime lake`. The chain made {rate:,.0f}
market-hours a second (candles, synced snapshot files, every table). PostgreSQL 18 embedded with its default settings,
{cores} cores, {machine}, Python {python}."""


def run_chain(warehouse: Warehouse, folder: Path, markets: list[Market], hours: int) -> float:
    """Run every stage week by week; return market-hours a second."""
    end = START + hours * HOUR_MS
    source = SimulatedSource(7, lambda: end, 100)
    workspace = Workspace(
        warehouse=warehouse,
        snapshots=SnapshotStore(str(folder)),
        universe=Universe(tuple(MarketSpec(market, "simulated", 100) for market in markets), START, end),
        source_of=lambda _: source,
        policy=default_policy(),
        nulls=default_null_table(),
        clock=lambda: end,
    )
    began = time.perf_counter()
    for first in range(START, end, CHUNK_HOURS * HOUR_MS):
        window = Window(first, min(first + CHUNK_HOURS * HOUR_MS, end))
        for market in markets:
            for stage in STAGES:
                run_id = workspace.start_run(stage.config_hash(workspace.policy, workspace.nulls))
                stage.run(workspace, run_id, market, window)
    return len(markets) * hours / (time.perf_counter() - began)


def measure(markets: int, hours: int) -> tuple[float, dict[str, Any]]:
    """Return the chain's rate, and rows and bytes of each table."""
    home = Path(tempfile.mkdtemp(prefix="regime-bench-"))
    server = EmbeddedServer(home)
    try:
        url = server.attach()
        upgrade(url)
        with Warehouse(url) as warehouse, psycopg.connect(url, autocommit=True) as connection:
            made = [Market(f"B{number}-USDT", "1m") for number in range(markets)]
            run_chain(warehouse, home / "warm", [Market("WARM-USDT", "1m")], 24)  # compiles the kernels
            rate = run_chain(warehouse, home / "snapshots", made, hours)
            connection.execute("VACUUM ANALYZE")
            found: dict[str, Any] = {}
            for table in TABLES:
                query = f"SELECT pg_total_relation_size('{table}'), count(*) FROM {table}"
                size, rows = connection.execute(query).fetchone() or (0, 0)
                report = export_lake(warehouse, home / "lake", [table], warehouse.markets())
                found[table] = {"rows": rows, "database": size / rows, "lake": report.bytes / rows}
            return rate, found
    finally:
        server.stop(force=True)
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hourly", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two days; the page is left alone")
    is_quick = parser.parse_args().quick
    markets, hours = (1, 48) if is_quick else (3, 2_000)
    rate, found = measure(markets, hours)
    rows = [
        [
            f"`{name}`",
            f"{f['database']:,.0f} B a row",
            f"{f['lake']:,.0f} B a row",
            f"**{f['lake'] / f['database']:.2f}x**",
        ]
        for name, f in found.items()
    ]
    table = markdown_table(["table", "PostgreSQL", "lake", "ratio"], rows)
    print(f"{rate:,.0f} market-hours a second\n{table}")
    if not is_quick:
        introduction = INTRODUCTION.format(
            markets=markets, hours=hours, rate=rate, cores=os.cpu_count(), machine=platform.machine(),
            python=platform.python_version(),
        )  # fmt: skip
        write_section("hourly", f"{introduction}\n\n{table}")
        FIGURES.write_text(json.dumps({"market_hours_per_s": rate, "tables": found}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
