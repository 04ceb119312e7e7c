"""What `benchmarks.storage` is measured beside: ADBC, psycopg's raw COPY, pandas, and what each of them does not do.

ADBC is Apache Arrow's driver: binary COPY both ways, decoded and encoded in C++; nothing general is faster in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import sqlalchemy as sa

from regime_pipeline.domain.candle_regimes.states import REGIME_STATES

CODES = (
    "SELECT open_time, confidence, state FROM candle_regime WHERE series_id = {id} AND open_time >= '{start}' "
    "ORDER BY open_time"
)
NAMES = (
    "SELECT open_time, confidence, trend_state, volatility_state, momentum_state, full_regime, simplified_regime "
    "FROM candle_regime JOIN regime_state USING (state) WHERE series_id = {id} AND open_time >= '{start}' "
    "ORDER BY open_time"
)
SEED = (
    "SELECT * FROM seed_regimes WHERE symbol = '{symbol}' AND timeframe = '1h' AND open_time >= '{start}' "
    "ORDER BY open_time"
)
TABLES = """
CREATE TABLE adbc_heap (open_time timestamptz NOT NULL, series_id int NOT NULL, confidence real, trend_state text,
  volatility_state text, momentum_state text, full_regime text, simplified_regime text);
CREATE TABLE adbc_keyed (LIKE adbc_heap, PRIMARY KEY (series_id, open_time));
CREATE TABLE adbc_indexed (LIKE adbc_keyed INCLUDING INDEXES);
CREATE INDEX ON adbc_indexed (simplified_regime);
CREATE INDEX ON adbc_indexed (confidence);
CREATE TABLE adbc_like_ours (LIKE candle_regime INCLUDING ALL);
CREATE UNLOGGED TABLE copy_heap (open_time timestamptz, series_id int, run_id int, confidence real, state int2);
CREATE TABLE copy_like_ours (LIKE candle_regime INCLUDING ALL)
"""
SEED_NAMES = ("trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime")
NOT_DONE = """What the peers do not do:

- **ADBC, read**: one statement on a kept connection, `fetch_arrow_table().to_pandas()`. It does not find the market's
  number, add `known_at`, go on after a lost connection or read a long span in pages of one moment; its names are
  strings, ours categoricals.
- **ADBC, the three stored columns**: as before, but the states stay codes, which the reader must know.
- **`adbc_ingest`**: an Arrow table made before, one binary COPY, a commit. It does not check rows, compare them with
  what is stored, lock, build periods, or keep hash, count and run of every hour. *Plain table*: the seed's columns
  without a key; a second load doubles the rows. *Same key*: a second load fails; this peer has the goal, as the least
  that a table of regimes needs, though it has neither of the two further indexes that the seed asks for and ours has.
  *Same key and indexes*: with them. *Table as ours*: our five columns, states as codes, with every index and check of
  `candle_regime`. Their tables are empty before each round, ours holds all other markets.
- **psycopg, raw COPY**: the bytes alone. Reading decodes nothing; writing sends what was encoded before, and the heap
  is neither logged nor keyed.
- **pandas.read_sql**: a table as a first version has it, texts in every row; no pages, no `known_at`."""


class Adbc:
    """A kept connection of ADBC; JIT is off as on ours, so that no plan waits for a compiler."""

    def __init__(self, url: str) -> None:
        self._connection = adbc.connect(url, autocommit=True)
        self._cursor = self._connection.cursor()
        self._cursor.execute("SET jit = off")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()
        self._connection.close()

    def read(self, query: str) -> pd.DataFrame:
        """Return what a query finds."""
        self._cursor.execute(query)
        return self._cursor.fetch_arrow_table().to_pandas()

    def ingest(self, table: str, rows: pa.Table) -> int:
        """Append rows to a table and commit, which the connection does by itself."""
        return self._cursor.adbc_ingest(table, rows, mode="append")


def raw_copy(connection: psycopg.Connection[Any], query: str) -> int:
    """Receive a query's rows as bytes."""
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)".encode()) as stream:
        return sum(len(block) for block in stream)


def raw_write(connection: psycopg.Connection[Any], table: str, payload: list[bytes]) -> None:
    """Send encoded rows of our five columns."""
    columns = "(open_time, series_id, run_id, confidence, state)"
    with connection.cursor().copy(f"COPY {table} {columns} FROM STDIN (FORMAT BINARY)".encode()) as stream:
        for block in payload:
            stream.write(block)


def read_sql(engine: sa.Engine, query: str) -> pd.DataFrame:
    """Read with pandas and SQLAlchemy."""
    with engine.connect() as connection:
        return pd.read_sql(sa.text(query), connection)


def arrow_codes(rows: Mapping[str, Any], run: int) -> pa.Table:
    """Return regimes as we store them."""
    return pa.table(
        {
            "open_time": _times(rows),
            "series_id": pa.array(np.ones(len(rows["state"]), np.int32)),
            "run_id": pa.array(np.full(len(rows["state"]), run, np.int32)),
            "confidence": pa.array(rows["confidence"]),
            "state": pa.array(rows["state"]),
        }
    )


def arrow_names(rows: Mapping[str, Any]) -> pa.Table:
    """Return regimes with the seed's columns: states by name."""
    names = {
        name: np.array([getattr(state, name) for state in REGIME_STATES], dtype=object)[rows["state"]]
        for name in SEED_NAMES
    }
    return pa.table(
        {
            "open_time": _times(rows),
            "series_id": pa.array(np.ones(len(rows["state"]), np.int32)),
            "confidence": pa.array(rows["confidence"]),
            **{name: pa.array(values, pa.string()) for name, values in names.items()},
        }
    )


def _times(rows: Mapping[str, Any]) -> pa.Array:
    return pa.array(rows["open_time"] * 1000, pa.timestamp("us", tz="UTC"))
