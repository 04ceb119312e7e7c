"""The lake against its database: the same three analysts' questions to both, in one interleaved run.

Run `python -m benchmarks.lake [--quick]`; it starts an embedded server of its own and writes `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import psycopg
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.classifier import classify
from regime_pipeline.domain.completeness import hour_statuses
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.simulation import simulate
from regime_pipeline.domain.window import Window
from regime_pipeline.policy import default_policy
from regime_pipeline.storage.embedded import EmbeddedServer
from regime_pipeline.storage.lake import LakeReport, export_lake
from regime_pipeline.storage.migrate import upgrade
from regime_pipeline.storage.warehouse import Warehouse

FIGURES = Path(__file__).with_name("lake.json")
CHUNK_HOURS = 24 * 7
TABLES = ("candles", "candle_regime")
ONE = "B3-USDT"
INTRODUCTION = """## Parquet lake and database

`python -m benchmarks.lake`: {markets} simulated markets x {bars:,} 1m candles with their regimes, {rows:,} rows in each
of two tables, written week by week in the order of time, vacuumed; the lake by `regime lake`. Three questions, their
answers compared, medians of {repeats} interleaved rounds, warm cache: **regimes**, the number and mean confidence of
every regime of every symbol; **ranges**, the mean relative range of a bar by symbol and month; **one month**, the high,
low and volume of each day of one market's month. The database is asked through `candles`, `candle_regime` and
`series`, the lake by `pyarrow.dataset` and by Polars; DuckDB is not among the tested dependencies. PostgreSQL 18
embedded with its default settings, {cores} cores, {machine}, Python {python}."""
SQL = {
    "regimes": """SELECT s.symbol, x.full_regime, count(*), avg(r.confidence::float8)
        FROM candle_regime r JOIN series s USING (series_id) JOIN regime_state x USING (state) GROUP BY 1, 2""",
    "ranges": """SELECT s.symbol, to_char(date_trunc('month', c.open_time), 'YYYY-MM'), avg((c.high - c.low) / c.open)
        FROM candles c JOIN series s USING (series_id) GROUP BY 1, 2""",
    "one month": f"""SELECT date_trunc('day', c.open_time)::date::text, max(c.high), min(c.low), sum(c.volume)
        FROM candles c JOIN series s USING (series_id) WHERE s.symbol = '{ONE}' AND s.timeframe = '1m'
        AND c.open_time >= '2020-02-01Z' AND c.open_time < '2020-03-01Z' GROUP BY 1""",
}
Answer = dict[tuple[str, ...], tuple[float, ...]]


class Lake(NamedTuple):
    """The lake as pyarrow and Polars open it."""

    folder: Path

    def arrow(self, table: str) -> ds.Dataset:
        """Open a table with pyarrow."""
        return ds.dataset(self.folder / table, partitioning="hive")

    def polars(self, table: str) -> pl.LazyFrame:
        """Open a table with Polars."""
        return pl.scan_parquet(self.folder / table / "**" / "*.parquet", hive_partitioning=True)


def arrow_regimes(lake: Lake) -> Any:
    found = lake.arrow("candle_regime").to_table(columns=["symbol", "full_regime", "confidence"])
    wanted = [([], "count_all"), ("confidence", "mean")]
    return found.group_by(["symbol", "full_regime"]).aggregate(wanted).to_pylist()


def arrow_ranges(lake: Lake) -> Any:
    width = pc.divide(pc.subtract(ds.field("high"), ds.field("low")), ds.field("open"))
    columns = {"symbol": ds.field("symbol"), "month": ds.field("month"), "width": width}
    return (
        lake.arrow("candles").to_table(columns=columns).group_by(["symbol", "month"]).aggregate([("width", "mean")])
    ).to_pylist()


def arrow_one_month(lake: Lake) -> Any:
    is_wanted = (ds.field("symbol") == ONE) & (ds.field("month") == "2020-02")
    columns = {name: ds.field(name) for name in ("high", "low", "volume")}
    columns["day"] = ds.field("open_time").cast("date32").cast("string")
    wanted = [("high", "max"), ("low", "min"), ("volume", "sum")]
    return (
        lake.arrow("candles").to_table(columns=columns, filter=is_wanted).group_by(["day"]).aggregate(wanted)
    ).to_pylist()


def polars_regimes(lake: Lake) -> Any:
    confidence = pl.col("confidence").cast(pl.Float64).mean()
    grouped = lake.polars("candle_regime").group_by("symbol", pl.col("full_regime").cast(pl.String))
    return grouped.agg(pl.len(), confidence).collect().to_dicts()


def polars_ranges(lake: Lake) -> Any:
    width = ((pl.col("high") - pl.col("low")) / pl.col("open")).mean()
    return lake.polars("candles").group_by("symbol", "month").agg(width).collect().to_dicts()


def polars_one_month(lake: Lake) -> Any:
    rows = lake.polars("candles").filter((pl.col("symbol") == ONE) & (pl.col("month") == "2020-02"))
    day = pl.col("open_time").dt.strftime("%Y-%m-%d").alias("day")
    return rows.group_by(day).agg(pl.max("high"), pl.min("low"), pl.sum("volume")).collect().to_dicts()


ARROW = {"regimes": arrow_regimes, "ranges": arrow_ranges, "one month": arrow_one_month}
POLARS = {"regimes": polars_regimes, "ranges": polars_ranges, "one month": polars_one_month}


def normalised(rows: list[Any]) -> Answer:
    """Texts as keys, numbers as values rounded to what adding in another order may change."""
    answer: Answer = {}
    for row in rows:
        values = list(row.values()) if isinstance(row, dict) else list(row)
        key = tuple(value for value in values if isinstance(value, str))
        answer[key] = tuple(float(f"{value:.7g}") for value in values if not isinstance(value, str))
    return answer


def fill(warehouse: Warehouse, markets: int, bars: int) -> float:
    """Write candles and regimes week by week, all markets in turn; return rows written a second."""
    policy = default_policy().candle_regime
    run_id = warehouse.start_run("benchmark", policy.hash)
    made = []
    for number in range(markets):
        market = Market(f"B{number}-USDT", "1m")
        candles = simulate(market, bars, number).candles
        warehouse.series_id(market, venue="simulated", price_scale=candles.price_scale)
        found = classify(candles, policy)
        regimes = {"open_time": candles.open_time_ms, "confidence": found.confidence, "state": found.state}
        made.append((market, candles, regimes))
    start, end = (int(made[0][1].open_time_ms[at]) // HOUR_MS * HOUR_MS for at in (0, -1))
    began = time.perf_counter()
    for first in range(start, end + HOUR_MS, CHUNK_HOURS * HOUR_MS):
        window = Window(first, min(first + CHUNK_HOURS * HOUR_MS, end + HOUR_MS))
        for market, candles, regimes in made:
            at = slice(*candles.open_time_ms.searchsorted([window.start_ms, window.end_ms]).tolist())
            part = candles[at]
            warehouse.replace_candles(market, window, part, hour_statuses(market, window, part, ()), run_id, {})
            warehouse.replace_range("candle_regime", market, window, {k: v[at] for k, v in regimes.items()}, run_id)
    return 2 * markets * bars / (time.perf_counter() - began)


def timed(ask: Callable[[], Any]) -> tuple[float, Answer]:
    start = time.perf_counter()
    found = ask()
    return (time.perf_counter() - start) * 1e3, normalised(found)


def ask_all(connection: psycopg.Connection[Any], lake: Lake, repeats: int) -> list[list[str]]:
    """Time every question on every engine in turn, and refuse answers that differ."""
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats + 1):
        for name, query in SQL.items():
            engines: dict[str, Callable[[], Any]] = {
                "postgres": lambda query=query: connection.execute(query).fetchall(),
                "arrow": lambda name=name: ARROW[name](lake),
                "polars": lambda name=name: POLARS[name](lake),
            }
            answers = {}
            for engine, ask in engines.items():
                milliseconds, answers[engine] = timed(ask)
                taken.setdefault((name, engine), []).append(milliseconds)
            if not answers["postgres"] or not answers["postgres"] == answers["arrow"] == answers["polars"]:
                raise SystemExit(f"the answers to '{name}' differ or are empty")
    median = {key: statistics.median(values[1:]) for key, values in taken.items()}
    return [
        [
            name,
            f"{median[name, 'postgres']:,.0f} ms",
            *(
                f"{median[name, engine]:,.0f} ms (**{median[name, engine] / median[name, 'postgres']:.2f}x**)"
                for engine in ("arrow", "polars")
            ),
        ]
        for name in SQL
    ]


def growth(warehouse: Warehouse, lake: Lake) -> tuple[dict[str, Any], list[list[str]]]:
    """Write the lake, then again; return what was measured, and its rows of the table."""
    found: dict[str, Any] = {}
    with psycopg.connect(warehouse.url) as connection:
        for table in TABLES:
            size, rows = connection.execute(
                f"SELECT pg_total_relation_size('{table}'), count(*) FROM {table}"
            ).fetchone() or (0, 0)
            start = time.perf_counter()
            report: LakeReport = export_lake(warehouse, lake.folder, [table], warehouse.markets())
            seconds = time.perf_counter() - start
            start = time.perf_counter()
            again = export_lake(warehouse, lake.folder, [table], warehouse.markets())
            found[table] = {
                "rows": rows, "database": size / rows, "lake": report.bytes / rows, "rows_per_s": rows / seconds,
                "again": time.perf_counter() - start, "written_again": again.written,
            }  # fmt: skip
    rows = [
        [
            f"`{table}`",
            f"{f['database']:.1f} B a row",
            f"{f['lake']:.1f} B a row (**{f['lake'] / f['database']:.2f}x**)",
            f"{f['rows_per_s'] / 1e3:,.0f}k rows/s",
            f"{f['again'] * 1e3:,.0f} ms",
        ]
        for table, f in found.items()
    ]
    return found, rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lake", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, one round; the page is left alone")
    is_quick = parser.parse_args().quick
    markets, bars, repeats = (4, 60_000, 1) if is_quick else (20, 100_000, 7)
    home = Path(tempfile.mkdtemp(prefix="regime-bench-"))
    server = EmbeddedServer(home)
    try:
        url = server.attach()
        upgrade(url)
        with Warehouse(url) as warehouse, psycopg.connect(url, autocommit=True) as connection:
            filled = fill(warehouse, markets, bars)
            connection.execute("SET jit = off")
            connection.execute("VACUUM ANALYZE")
            lake = Lake(home / "lake")
            figures, sizes = growth(warehouse, lake)
            answers = ask_all(connection, lake, repeats)
    finally:
        server.stop(force=True)
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
    questions = markdown_table(["question", "PostgreSQL", "lake, pyarrow", "lake, Polars"], answers)
    growths = markdown_table(["table", "PostgreSQL", "lake", "written", "again, unchanged"], sizes)
    table = f"{questions}\n\n{growths}"
    print(table)
    if not is_quick:
        introduction = INTRODUCTION.format(
            markets=markets, bars=bars, rows=markets * bars, repeats=repeats, cores=os.cpu_count(),
            machine=platform.machine(), python=platform.python_version(),
        )  # fmt: skip
        write_section("lake", f"{introduction}\n\n{table}")
        FIGURES.write_text(json.dumps({"load_rows_per_s": filled, "tables": figures}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
