"""Storage against its goals: reads and writes beside ADBC, bytes per candle, silent re-runs.

Run `python -m benchmarks.storage [--quick]`; it starts an embedded server of its own and writes `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa

from benchmarks import storage_peers as peers
from benchmarks.document import markdown_table, write_section
from benchmarks.rounds import interleaved, seconds
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.bulk.columns import CANDLE_REGIME
from regime_pipeline.storage.bulk.copy_format import encode_copy
from regime_pipeline.storage.bulk.statements import moment, table_values
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.urls import sqlalchemy_url
from regime_pipeline.storage.warehouse import Warehouse

START_MS = to_ms("2015-01-01T00:00:00Z")
CHUNK = 5_000
MEAN_RUN = 15
READ_GOALS = {120: (None, 10), 10_000: (0.6, 50), 100_000: (0.7, None)}
"""Rows read: at most this much of ADBC's time, and at most so many milliseconds."""
SIZE_GOAL = 0.45
"""Bytes with indexes, beside the seed's table."""
WRITE_PEER, WRITE_GOAL = "adbc_ingest, table with the same key", 1.0
SEED_DDL = """
CREATE TABLE seed_candles (symbol VARCHAR(20), timeframe VARCHAR(10), open_time TIMESTAMP,
  PRIMARY KEY (symbol, timeframe, open_time));
CREATE TABLE seed_regimes (symbol VARCHAR(20) NOT NULL, timeframe VARCHAR(10) NOT NULL, open_time TIMESTAMP NOT NULL,
  trend_state VARCHAR(20), volatility_state VARCHAR(10), momentum_state VARCHAR(20), full_regime VARCHAR(50),
  simplified_regime VARCHAR(20), confidence FLOAT, created_at TIMESTAMP DEFAULT NOW(),
  PRIMARY KEY (symbol, timeframe, open_time),
  FOREIGN KEY (symbol, timeframe, open_time) REFERENCES seed_candles (symbol, timeframe, open_time) ON DELETE CASCADE);
CREATE INDEX idx_regime_lookup ON seed_regimes (symbol, timeframe, open_time DESC);
CREATE INDEX idx_regime_simplified ON seed_regimes (simplified_regime);
CREATE INDEX idx_regime_confidence ON seed_regimes (confidence DESC);
"""
SEED_FILL = """
INSERT INTO seed_candles SELECT symbol, timeframe, open_time AT TIME ZONE 'UTC' FROM market_regimes;
INSERT INTO seed_regimes SELECT symbol, timeframe, open_time AT TIME ZONE 'UTC', trend_state, volatility_state,
  momentum_state, full_regime, simplified_regime, confidence FROM market_regimes ORDER BY open_time, symbol;
VACUUM ANALYZE;
"""


@dataclass(frozen=True)
class Bench:
    """A filled database with everything that is timed on it."""

    url: str
    warehouse: Warehouse
    engine: sa.Engine
    connection: psycopg.Connection[Any]
    markets: list[Market]
    candles: int
    rounds: int

    def rows(self, seed: int, first: int, count: int) -> dict[str, Any]:
        """Regimes in runs of about 15 candles."""
        rng = np.random.default_rng([seed, first])
        changes = np.cumsum(rng.random(count) < 1 / MEAN_RUN)
        states = rng.integers(0, len(REGIME_STATES), int(changes[-1]) + 1)
        return {
            "open_time": START_MS + (first + np.arange(count)) * HOUR_MS,
            "confidence": np.round(rng.beta(5, 2, count), 6).astype(np.float32),
            "state": states[changes].astype(np.int16),
        }

    def scalar(self, query: str) -> int:
        """Return one number."""
        return int(self.connection.execute(query.encode()).fetchone()[0])  # type: ignore[index]


def window(first: int, count: int) -> Window:
    """Hours counted from the start."""
    return Window(START_MS + first * HOUR_MS, START_MS + (first + count) * HOUR_MS)


@contextmanager
def filled(series: int, candles: int, rounds: int) -> Iterator[Bench]:
    """Start a server and fill it in the order of time, as hourly ingestion of many markets does."""
    home = Path(tempfile.mkdtemp(prefix="regime-bench-"))
    server = EmbeddedServer(home)
    try:
        url = server.attach()
        upgrade(url)
        engine = sa.create_engine(sqlalchemy_url(url))
        with Warehouse(url) as warehouse, psycopg.connect(url, autocommit=True) as connection:
            markets = [Market(f"B{number}-USDT", "1h") for number in range(series)]
            bench = Bench(url, warehouse, engine, connection, markets, candles, rounds)
            _fill(bench)
            yield bench
        engine.dispose()
    finally:
        directory = server.status().directory.resolve()
        server.stop(force=True)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(home)


def _fill(bench: Bench) -> None:
    run = bench.warehouse.start_run("bench", "bench")
    for market in bench.markets:
        bench.warehouse.series_id(market, venue="simulated", price_scale=100)
    for first in range(0, bench.candles, CHUNK):
        for seed, market in enumerate(bench.markets):
            rows = bench.rows(seed, first, CHUNK)
            bench.warehouse.replace_range("candle_regime", market, window(first, CHUNK), rows, run)
    bench.connection.execute(SEED_DDL.encode())
    for statement in SEED_FILL.split(";")[:-1]:
        bench.connection.execute(statement.encode())


def interleaved_ms(
    rounds: int, ways: Mapping[str, Callable[[], object]], before: Mapping[str, Callable[[], object]] | None = None
) -> dict[str, float]:
    """Return the median milliseconds of each way; `before` as `rounds.interleaved`."""
    return {name: took * 1000 for name, took in interleaved(rounds, ways, before).items()}


def judged(value: float, limit: float, unit: str = "x") -> str:
    """Say a goal, and whether it is met."""
    return f"<= {limit:g}{unit}: {'met' if value <= limit else 'MISSED'}"


def measure_reads(bench: Bench) -> list[list[str]]:
    """Read the newest rows of one market to a frame: ours beside the peers."""
    counts = [count for count in READ_GOALS if count <= bench.candles]
    with peers.Adbc(bench.url) as adbc:
        return [row for count in counts for row in _measure_read(bench, adbc, count)]


def _measure_read(bench: Bench, adbc: peers.Adbc, count: int) -> list[list[str]]:
    market, first = bench.markets[-1], bench.candles - count
    start = moment(START_MS + first * HOUR_MS)
    where = {"id": bench.warehouse.series_id(market), "start": start.isoformat()}
    codes, names = peers.CODES.format(**where), peers.NAMES.format(**where)
    seed = peers.SEED.format(symbol=market.symbol, start=start.replace(tzinfo=None).isoformat())
    taken = interleaved_ms(
        bench.rounds,
        {
            "ours": lambda: bench.warehouse.read_frame("candle_regime", market, window(first, count)),
            "ADBC, the same columns": lambda: adbc.read(names),
            "ADBC, the three stored columns": lambda: adbc.read(codes),
            "psycopg raw COPY, the same columns": lambda: peers.raw_copy(bench.connection, names),
            "psycopg raw COPY, the three stored columns": lambda: peers.raw_copy(bench.connection, codes),
            "pandas.read_sql, seed's table": lambda: peers.read_sql(bench.engine, seed),
        },
    )
    ours = taken.pop("ours")
    limit, limit_ms = READ_GOALS[count]
    goals = [judged(ours / taken["ADBC, the same columns"], limit)] if limit else []
    if limit_ms:
        goals.append(judged(ours, limit_ms, " ms"))
    return _lines(f"read {count:,} regimes to a DataFrame", ours, taken, {"ADBC, the same columns": ", ".join(goals)})


def _lines(label: str, ours: float, taken: Mapping[str, float], goals: Mapping[str, str]) -> list[list[str]]:
    """Return a row of the table for each peer."""
    return [
        [label, f"{ours:.2f} ms", name, f"{theirs:.2f} ms", f"**{ours / theirs:.2f}x**", goals.get(name, "")]
        for name, theirs in taken.items()
    ]


def measure_writes(bench: Bench) -> list[list[str]]:
    """Write a new market with everything that follows: ours beside the peers' bare rows."""
    count, run = bench.candles // 60 * 60, bench.warehouse.start_run("bench", "bench")
    rows = bench.rows(99, 0, count)
    minutes = rows | {"open_time": START_MS + np.arange(count) * MINUTE_MS}
    numbers = iter(range(1_000))

    def ours(timeframe: str, span: Window, values: dict[str, Any]) -> None:
        market = Market(f"W{next(numbers)}-USDT", timeframe)
        bench.warehouse.series_id(market, venue="simulated", price_scale=100)
        bench.warehouse.replace_range("candle_regime", market, span, values, run)

    for statement in peers.TABLES.split(";"):
        bench.connection.execute(statement.encode())
    with peers.Adbc(bench.url) as adbc:
        others = _other_writes(bench, adbc, rows, run)
        mine: dict[str, Callable[[], object]] = {
            "1m": lambda: ours("1m", window(0, count // 60), minutes),
            "1h": lambda: ours("1h", window(0, count), rows),
        }
        taken = interleaved_ms(
            bench.rounds,
            mine | {name: way for name, (_, way) in others.items()},
            {name: partial(_empty, bench, table) for name, (table, _) in others.items()},
        )
    theirs = {name: taken[name] for name in others}
    return [
        line
        for timeframe in mine
        for line in _lines(
            f"write {count:,} new {timeframe} regimes, periods and ledger included",
            taken[timeframe],
            theirs,
            {WRITE_PEER: judged(taken[timeframe] / theirs[WRITE_PEER], WRITE_GOAL)},
        )
    ]


def _other_writes(
    bench: Bench, adbc: peers.Adbc, rows: dict[str, Any], run: int
) -> dict[str, tuple[str, Callable[[], object]]]:
    """Return the peers' table and way to write; what they send is made before."""
    names, codes = peers.arrow_names(rows), peers.arrow_codes(rows, run)
    payload = list(encode_copy(table_values(CANDLE_REGIME, [(1, rows)], run)))
    return {
        "adbc_ingest, plain table": ("adbc_heap", lambda: adbc.ingest("adbc_heap", names)),
        WRITE_PEER: ("adbc_keyed", lambda: adbc.ingest("adbc_keyed", names)),
        "adbc_ingest, table with the same key and indexes": (
            "adbc_indexed",
            lambda: adbc.ingest("adbc_indexed", names),
        ),
        "adbc_ingest, table as ours": ("adbc_like_ours", lambda: adbc.ingest("adbc_like_ours", codes)),
        "psycopg raw COPY, unlogged heap": (
            "copy_heap",
            lambda: peers.raw_write(bench.connection, "copy_heap", payload),
        ),
        "psycopg raw COPY, table as ours": (
            "copy_like_ours",
            lambda: peers.raw_write(bench.connection, "copy_like_ours", payload),
        ),
    }


def _empty(bench: Bench, table: str) -> None:
    bench.connection.execute(f"TRUNCATE {table}".encode())


def measure_rerun(bench: Bench) -> list[list[str]]:
    """Write the same rows again: nothing may be written."""
    market, run = Market("R-USDT", "1h"), bench.warehouse.start_run("bench", "bench")
    bench.warehouse.series_id(market, venue="simulated", price_scale=100)
    rows, span = bench.rows(7, 0, bench.candles), window(0, bench.candles)
    again = partial(bench.warehouse.replace_range, "candle_regime", market, span, rows, run)
    first = seconds(again) * 1000
    wal = bench.scalar("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    taken = interleaved_ms(3, {"again": again})
    wal = bench.scalar("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn") - wal
    later, row_bytes = taken["again"], wal / 4 / bench.candles
    label = f"write the same {bench.candles:,} again"
    return [
        [
            label,
            f"{later:.0f} ms",
            "the first write",
            f"{first:.0f} ms",
            f"**{later / first:.2f}x**",
            judged(later / first, 1.3),
        ],
        ["WAL of such a re-run, a row", f"{row_bytes:.3f} B", "", "", "", judged(row_bytes, 5, " B")],
    ]


def measure_bytes(bench: Bench) -> list[list[str]]:
    """Bytes with indexes per 1,000 candles: as ingested side by side, and as backfilled market by market."""
    size = {name: _kilobytes(bench, name) for name in ("candle_regime", "seed_regimes", "regime_period")}
    bench.connection.execute("CREATE TABLE packed (LIKE candle_regime INCLUDING ALL)")
    bench.connection.execute("INSERT INTO packed SELECT * FROM candle_regime ORDER BY series_id, open_time")
    mine, packed, seed = size["candle_regime"], _kilobytes(bench, "packed"), size["seed_regimes"]
    bench.connection.execute("DROP TABLE packed")
    label, periods = "regimes, KB per 1,000 candles with indexes", size["regime_period"]
    beside = ["seed's table", f"{seed:.1f}"]
    goals = f"{judged(packed, 100, ' KB')}, {judged(packed / seed, SIZE_GOAL)}"
    return [
        [f"{label}, market by market", f"{packed:.1f}", *beside, f"**{packed / seed:.2f}x**", goals],
        [
            f"{label}, {CHUNK:,} hours of each in turn",
            f"{mine:.1f}",
            *beside,
            f"**{mine / seed:.2f}x**",
            judged(mine / seed, SIZE_GOAL),
        ],
        ["periods, KB per 1,000 candles", f"{periods:.1f}", "", "", "", judged(periods, 10, " KB")],
        ["ledger, KB per 1,000 hours of an asset", f"{_kilobytes(bench, 'partition_ledger'):.1f}", "", "", "", ""],
    ]


def _kilobytes(bench: Bench, table: str) -> float:
    return bench.scalar(f"SELECT pg_total_relation_size('{table}')") / (len(bench.markets) * bench.candles)


def main() -> None:
    """Measure, print and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data; prints, does not write the page")
    quick = parser.parse_args().quick
    series, candles, rounds = (4, 10_000, 5) if quick else (10, 100_000, 15)
    with filled(series, candles, rounds) as bench:
        sizes = measure_bytes(bench)
        rows = [*measure_reads(bench), *measure_writes(bench), *sizes, *measure_rerun(bench)]
        version = bench.scalar("SHOW server_version_num") // 10_000
    table = markdown_table(["what", "ours", "compared with", "theirs", "ratio", "goal"], rows)
    text = (
        "## Storage\n\n`python -m benchmarks.storage`: medians of one interleaved run on PostgreSQL "
        f"{version}, embedded, with its default settings. {series} markets x {candles:,} simulated 1h candles written "
        f"in the order of time, mean regime run {MEAN_RUN} candles; {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[1]:.1f} with what else the machine did, Python {platform.python_version()}.\n\n{table}\n\n"
        "Sizes and writes include the indexes on regime and on confidence "
        f"([decision 19](decisions/0019-indexes-on-regime-and-confidence.md)).\n\n{peers.NOT_DONE}\n"
    )
    print(text)
    if not quick:
        write_section("storage", text)


if __name__ == "__main__":
    main()
