"""The lake against its database: the same SQL to PostgreSQL and to DuckDB over Parquet, in one interleaved run.

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
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.policy import default_policy
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.lake.export import export_lake
from regime_pipeline.storage.warehouse import Warehouse

FIGURES = Path(__file__).with_name("lake.json")
CHUNK_HOURS = 24 * 7
TABLES = ("candles", "candle_regime")
VIEWS = {"market_candles": "candles", "market_regimes": "candle_regime"}
"""The database's views, and the tables of the lake over which DuckDB has views of the same names."""
WIDE_SYMBOLS, WIDE_MONTHS = 2_000, 60
INTRODUCTION = """## Parquet lake and database

`python -m benchmarks.lake`: {markets} simulated markets x {bars:,} 1m candles with their regimes, {rows:,} rows in each
of two tables, written week by week in the order of time, vacuumed; the lake by `regime lake`. Seven questions in the
same SQL: to PostgreSQL's views `market_candles` and `market_regimes`, and to DuckDB's views of the same names over the
lake. Equal answers, medians of {repeats} interleaved rounds, warm cache. PostgreSQL 18 embedded with its default
settings but without JIT, DuckDB {duckdb}, {cores} cores, {machine}, Python {python}."""
SQL = {
    "regimes": """SELECT symbol, full_regime, count(*), avg(confidence)
        FROM market_regimes GROUP BY symbol, full_regime""",
    "ranges": """SELECT symbol, date_trunc('month', open_time)::date, avg((high - low) / open)
        FROM market_candles GROUP BY 1, 2""",
    "changes": """SELECT simplified_regime, following, count(*) FROM (
            SELECT simplified_regime, lead(simplified_regime) OVER (PARTITION BY symbol, timeframe ORDER BY open_time)
              AS following FROM market_regimes) AS pairs
        WHERE following <> simplified_regime GROUP BY 1, 2""",
    "returns": """SELECT r.full_regime, count(*), avg(c.close / c.open - 1), stddev_samp(c.close / c.open - 1)
        FROM market_candles c JOIN market_regimes r USING (symbol, timeframe, open_time) GROUP BY 1""",
    "one market": """SELECT full_regime, count(*), avg(confidence) FROM market_regimes
        WHERE symbol = 'B3-USDT' AND timeframe = '1m' GROUP BY 1""",
    "one month": """SELECT open_time::date, max(high), min(low), sum(volume) FROM market_candles
        WHERE symbol = 'B3-USDT' AND timeframe = '1m'
          AND open_time >= '2020-02-01T00:00:00Z' AND open_time < '2020-03-01T00:00:00Z' GROUP BY 1""",
    "one hour": """SELECT open_time, close, volume FROM market_candles
        WHERE symbol = 'B3-USDT' AND timeframe = '1m'
          AND open_time >= '2020-02-01T10:00:00Z' AND open_time < '2020-02-01T11:00:00Z'""",
}
QUESTIONS = """**Regimes**: number and mean confidence of every regime of every symbol. **Ranges**: mean relative range
of a bar by symbol and month. **Changes**: which regime follows which. **Returns**: mean and deviation of a bar's return
by regime, a join. **One market**: its regimes. **One month**: high, low and volume of each day. **One hour**: bars."""
WIDE = """A lake of **{symbols:,} symbols x {months} months** ({files:,} files of regimes by symbolic links):
*regimes* over {scanned} months of all, {rows:,} rows, takes DuckDB {scan_s:,.1f} s (**{rate:,.1f} M rows/s**). One
market's month takes {listed_ms:,.0f} ms by the pattern over everything, which lists every folder, and
{named_ms:,.1f} ms by the market's own folder."""
Answer = list[tuple[str | float, ...]]


def open_lake(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open a lake with DuckDB, with the database's views as far as the questions need them."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for view, table in VIEWS.items():
        connection.execute(f"CREATE VIEW {view} AS FROM {parquet(folder / table)}")
    return connection


def parquet(folder: Path, below: str = "**") -> str:
    """Name all files of a folder in DuckDB's SQL; `**` follows no symbolic links."""
    return f"read_parquet('{folder}/{below}/*.parquet', hive_partitioning = true)"


def normalised(rows: Sequence[Sequence[Any]]) -> Answer:
    """Rows in one order, numbers rounded to what adding in another order may change."""
    return sorted(tuple(_rounded(value) for value in row) for row in rows)


def _rounded(value: object) -> str | float:
    return str(value) if isinstance(value, str | date) else float(f"{value:.7g}")


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


Asked = psycopg.Connection[Any] | duckdb.DuckDBPyConnection


def timed(engine: Asked, query: str) -> tuple[float, Answer]:
    """Ask, and return milliseconds and the answer."""
    start = time.perf_counter()
    found = engine.execute(query).fetchall()
    return (time.perf_counter() - start) * 1e3, normalised(found)


def ask_all(database: Asked, lake: Asked, repeats: int) -> dict[str, dict[str, float]]:
    """Time every question on both engines in turn, refuse answers that differ; return median milliseconds."""
    taken: dict[str, dict[str, list[float]]] = {name: {"postgres": [], "duckdb": []} for name in SQL}
    for _ in range(repeats + 1):
        for name, query in SQL.items():
            answers = []
            for engine, connection in (("postgres", database), ("duckdb", lake)):
                milliseconds, answer = timed(connection, query)
                taken[name][engine].append(milliseconds)
                answers.append(answer)
            if not answers[0] or answers[0] != answers[1]:
                raise SystemExit(f"the answers to '{name}' differ or are empty")
    return {
        name: {engine: statistics.median(values[1:]) for engine, values in engines.items()}
        for name, engines in taken.items()
    }


def question_rows(questions: dict[str, dict[str, float]]) -> list[list[str]]:
    return [
        [
            name,
            _milliseconds(took["postgres"]),
            f"{_milliseconds(took['duckdb'])} (**{took['duckdb'] / took['postgres']:.2f}x**)",
        ]
        for name, took in questions.items()
    ]


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def widen(folder: Path, place: Path, symbols: int, months: Sequence[str]) -> int:
    """Show a small lake as one of many symbols and months by symbolic links; return its months that differ."""
    found = [sorted(symbol.glob("timeframe=1m/month=*")) for symbol in sorted(folder.iterdir())]
    templates = [place / "templates" / str(number) for number in range(len(found))]
    for template, sources in zip(templates, found, strict=True):
        (template / "timeframe=1m").mkdir(parents=True)
        for at, month in enumerate(months):
            (template / "timeframe=1m" / f"month={month}").symlink_to(sources[at % len(sources)])
    (place / "lake").mkdir()
    for number in range(symbols):
        (place / "lake" / f"symbol=W{number}-USDT").symlink_to(templates[number % len(templates)])
    return len(found[0])


def measure_wide(folder: Path, symbols: int, months: int) -> dict[str, float]:
    """Ask a lake as wide as the target universe: a scan of some months of all symbols, and one market's month."""
    names = [f"{2020 + month // 12}-{month % 12 + 1:02}" for month in range(months)]
    scanned = widen(folder / "candle_regime", folder / "wide", symbols, names)
    every, one = (parquet(folder / "wide" / "lake" / symbol, "*/*") for symbol in ("*", "symbol=W7-USDT"))
    queries = {
        "scan": f"""SELECT symbol, full_regime, count(*), avg(confidence) FROM {every}
            WHERE month < '{names[scanned]}' GROUP BY 1, 2""",
        "listed": f"SELECT count(*), min(confidence) FROM {every} WHERE symbol = 'W7-USDT' AND month = '{names[1]}'",
        "named": f"SELECT count(*), min(confidence) FROM {one} WHERE month = '{names[1]}'",
    }
    taken: dict[str, list[float]] = {name: [] for name in queries}
    answers: dict[str, Answer] = {}
    with duckdb.connect() as lake:
        for _ in range(3):
            for name, query in queries.items():
                milliseconds, answers[name] = timed(lake, query)
                taken[name].append(milliseconds)
    if answers["listed"] != answers["named"]:
        raise SystemExit("the answers by pattern and by folder differ")
    median = {name: statistics.median(values) for name, values in taken.items()}
    rows = sum(float(row[2]) for row in answers["scan"])
    return {
        "symbols": symbols, "months": months, "files": symbols * months, "scanned": scanned, "rows": round(rows),
        "scan_s": median["scan"] / 1e3, "listed_ms": median["listed"], "named_ms": median["named"],
    }  # fmt: skip


def growth(warehouse: Warehouse, folder: Path) -> tuple[dict[str, Any], list[list[str]]]:
    """Write the lake, then again; return what was measured, and its rows of the table."""
    found: dict[str, Any] = {}
    with psycopg.connect(warehouse.url) as connection:
        for table in TABLES:
            size, rows = connection.execute(
                f"SELECT pg_total_relation_size('{table}'), count(*) FROM {table}"
            ).fetchone() or (0, 0)
            start = time.perf_counter()
            report = export_lake(warehouse, folder, [table], warehouse.markets())
            seconds = time.perf_counter() - start
            start = time.perf_counter()
            again = export_lake(warehouse, folder, [table], warehouse.markets())
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
        with Warehouse(url) as warehouse, psycopg.connect(url, autocommit=True) as database:
            filled = fill(warehouse, markets, bars)
            database.execute("SET jit = off")
            database.execute("SET timezone = 'UTC'")
            database.execute("VACUUM ANALYZE")
            figures, sizes = growth(warehouse, home / "lake")
            with open_lake(home / "lake") as lake:
                questions = ask_all(database, lake, repeats)
        wide = measure_wide(home / "lake", *((40, 12) if is_quick else (WIDE_SYMBOLS, WIDE_MONTHS)))
    finally:
        server.stop(force=True)
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
    asked = markdown_table(["question", "PostgreSQL", "lake, DuckDB"], question_rows(questions))
    growths = markdown_table(["table", "PostgreSQL", "lake", "written", "again, unchanged"], sizes)
    described = WIDE.format(rate=wide["rows"] / wide["scan_s"] / 1e6, **wide)
    text = f"{asked}\n\n{QUESTIONS}\n\n{growths}\n\n{described}"
    print(text)
    if not is_quick:
        introduction = INTRODUCTION.format(
            markets=markets, bars=bars, rows=markets * bars, repeats=repeats, cores=os.cpu_count(),
            machine=platform.machine(), python=platform.python_version(), duckdb=duckdb.__version__,
        )  # fmt: skip
        write_section("lake", f"{introduction}\n\n{text}")
        written = {"load_rows_per_s": filled, "tables": figures, "questions": questions, "wide": wide}
        FIGURES.write_text(json.dumps(written, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
