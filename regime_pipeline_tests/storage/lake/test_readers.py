"""What DuckDB, Polars and pyarrow see of a lake, and that every statement and program of docs/storage.md runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import psycopg
import pytest

from regime_pipeline.storage.bulk.columns import BULK_TABLES, BulkTable
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.storage.lake.test_export import export, fill

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

PAGE = (REPOSITORY / "docs" / "storage.md").read_text("utf-8").partition("\n## The Parquet lake\n")[2]
SQL, PYTHON = ("".join(re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)) for kind in ("sql", "python"))
STATEMENTS = [text.strip() for text in SQL.split(";") if text.strip()]
ON_BOTH = [text for text in STATEMENTS if text.startswith("-- on both")]
VIEWS = {
    name: "market_regimes" if name == "candle_regime" else f"market_{name.removeprefix('regime_')}"
    for name in BULK_TABLES
}
TYPES = {
    "float": "DOUBLE", "real": "FLOAT", "int": "INTEGER", "short": "SMALLINT", "flag": "BOOLEAN",
    "time": "TIMESTAMP WITH TIME ZONE", "label": "VARCHAR", "text": "VARCHAR", "json": "VARCHAR",
}  # fmt: skip
MONTHS = ("2024-03", "2024-04")
NAMES = ("trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime")


@pytest.fixture
def lake(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake of two markets in two months, as `lake` in the current directory."""
    fill(warehouse)
    export(warehouse, tmp_path / "lake")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lake"


@pytest.fixture
def duck(lake: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB without the network, after the page's first statements: its views stand."""
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        for statement in STATEMENTS:
            if statement.startswith(("SET", "CREATE")):
                connection.execute(statement)
        yield connection


@pytest.fixture
def postgres(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def files(table: str) -> str:
    return f"read_parquet('lake/{table}/**/*.parquet', hive_partitioning = true)"


def expected_types(table: BulkTable) -> dict[str, str]:
    state = dict.fromkeys(NAMES, "VARCHAR")
    stored = {name: TYPES[table.column(name).kind] for name in table.names if name != "state"}
    partitions = dict.fromkeys(("symbol", "timeframe", "month"), "VARCHAR")
    if table.name != "candles":
        stored["known_at"] = TYPES["time"]
    return stored | (state if table.name == "candle_regime" else {}) | partitions


@pytest.mark.parametrize("table", BULK_TABLES.values(), ids=lambda table: table.name)
def test_types_and_partitions(duck: duckdb.DuckDBPyConnection, table: BulkTable) -> None:
    described = duck.execute(f"DESCRIBE FROM {files(table.name)}").fetchall()
    assert {name: kind for name, kind, *_ in described} == expected_types(table)

    found = duck.execute(f"SELECT DISTINCT symbol, timeframe, month FROM {files(table.name)} ORDER BY ALL").fetchall()
    assert found == [(*market, month) for market in (("ETH-USDT", "1h"), ("SOL-USDT", "4h")) for month in MONTHS]


def comparable(rows: Sequence[Sequence[Any]], digits: int = 17) -> list[tuple[object, ...]]:
    return [tuple(_comparable(value, digits) for value in row) for row in rows]


def _comparable(value: Any, digits: int) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, list | dict):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{digits}g}")
    return value


@pytest.mark.parametrize("table", BULK_TABLES.values(), ids=lambda table: table.name)
def test_every_view_shows_what_the_databases_view_of_the_name_shows(
    duck: duckdb.DuckDBPyConnection, postgres: psycopg.Connection[Any], table: BulkTable
) -> None:
    view = VIEWS[table.name]
    of_database = {column.name for column in postgres.execute(f"SELECT * FROM {view} LIMIT 0").description or ()}
    duck.execute(f"CREATE VIEW IF NOT EXISTS {view} AS FROM {files(table.name)}")
    of_lake = {name for name, *_ in duck.execute(f"DESCRIBE {view}").fetchall()}
    assert of_lake - {"month"} == of_database - {"run_id", "created_at"}

    reals = {column.name for column in table.columns if column.kind == "real"}
    columns = [f"{name}::float8" if name in reals else name for name in sorted(of_lake - {"month"})]
    query = f"SELECT {', '.join(columns)} FROM {view} ORDER BY symbol, timeframe, {table.time}"
    rows = comparable(duck.execute(query).fetchall())
    assert len(rows) >= 24
    assert rows == comparable(postgres.execute(query).fetchall())


def test_times_are_moments_in_any_zone(duck: duckdb.DuckDBPyConnection) -> None:
    first = "SELECT min(open_time), min(open_time)::text, epoch_ms(min(open_time)) FROM market_candles"
    moment, text, milliseconds = duck.execute(first).fetchone() or ()
    assert text == "2024-03-30 00:00:00+00"
    duck.execute("SET TimeZone = 'America/New_York'")
    there, other_text, same = duck.execute(first).fetchone() or ()
    assert (there, same) == (moment, milliseconds)
    assert other_text == "2024-03-29 20:00:00-04"


def test_files_of_other_markets_and_months_are_not_opened(duck: duckdb.DuckDBPyConnection, lake: Path) -> None:
    first, *_, wanted, _, _ = sorted(lake.glob("candles/**/*.parquet"))
    for path in lake.glob("candles/**/*.parquet"):
        if path not in (first, wanted):  # the first file tells the columns
            path.write_bytes(b"never opened")
    query = f"SELECT count(*) FROM {files('candles')} WHERE symbol = 'ETH-USDT' AND month = '2024-04'"
    assert duck.execute(query).fetchone() == (48,)
    with pytest.raises(duckdb.Error):
        duck.execute(f"SELECT count(*), min(close) FROM {files('candles')}").fetchone()


def test_duckdb_reads_what_the_files_say_of_themselves(duck: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT DISTINCT decode(key), decode(value) FROM parquet_kv_metadata('lake/candles/**/*.parquet')"
    said = {(key, value) for key, value in duck.execute(query).fetchall() if key not in ("ARROW:schema", "units")}
    assert {("policy_hashes", "cfg"), ("time_zone", "UTC"), ("sorted_by", "open_time")} <= said
    assert ("regime_market", "ETH-USDT_1h") in said
    query = "SELECT DISTINCT decode(value) FROM parquet_kv_metadata('lake/candles/**/*.parquet') WHERE key = 'units'"
    ((units,),) = duck.execute(query).fetchall()
    assert orjson.loads(units)["volume"] == "base currency"
    statistics = """SELECT min(stats_min_value), max(stats_max_value), min(compression)
        FROM parquet_metadata('lake/candles/symbol=ETH-USDT/**/month=2024-03/*') WHERE path_in_schema = 'open_time'"""
    assert duck.execute(statistics).fetchone() == ("2024-03-30 00:00:00+00", "2024-03-31 23:00:00+00", "ZSTD")


def test_the_pages_statements_run(duck: duckdb.DuckDBPyConnection) -> None:
    asked = [text for text in STATEMENTS if not text.startswith(("SET", "CREATE"))]
    answers = [duck.execute(statement).fetchall() for statement in asked]
    assert len(asked) >= 6
    assert all(answers)
    assert answers[-1] == [("base currency",)]


def test_the_pages_statements_for_both_have_equal_answers(
    duck: duckdb.DuckDBPyConnection, postgres: psycopg.Connection[Any]
) -> None:
    assert len(ON_BOTH) == 3
    for statement in ON_BOTH:
        found = [comparable(engine.execute(statement).fetchall(), 9) for engine in (duck, postgres)]
        assert found[0] == found[1], statement
        assert found[0], statement


def test_the_pages_programs_run(lake: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(PYTHON, "docs/storage.md", "exec"), names)
    march: pl.DataFrame = names["march"]
    assert march["open_time"].dtype == pl.Datetime("ms", "UTC")
    assert march["open_time"].dt.date().unique().sort().to_list() == [date(2024, 3, 30), date(2024, 3, 31)]
    assert names["regimes"].num_rows == names["lake"].count_rows() > 100
