"""The indexes of `tables.candle_regime` serve the example questions of analysts, as EXPLAIN says."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from regime_pipeline.storage.admin import migrate
from regime_pipeline_tests.conftest import fresh_database

ROWS = 120_000
_SERIES = "INSERT INTO series (venue, symbol, timeframe, step, price_scale) SELECT 'x', 'S' || i, '1h', '1 hour', 100 "
_FILL = (
    "INSERT INTO candle_regime (open_time, series_id, run_id, confidence, state) "
    "SELECT '2020-01-01Z'::timestamptz + (i / 6) * interval '1 hour', 1 + i %% 6, 1, random(), "
    "known[1 + floor(power(random(), 3) * array_length(known, 1))::int] "
    "FROM (SELECT array_agg(state ORDER BY state) AS known FROM regime_state) AS s, generate_series(0, %s) AS i"
)
"""Some states are common and others rare, as in markets."""
QUESTIONS = {
    "periods of a regime": (
        "SELECT start_time, end_time FROM market_periods WHERE simplified_regime = 'TREND_UP' AND symbol = 'S3'",
        "regime_period",
    ),
    "candles of a regime, to compare what followed": (
        "SELECT symbol, open_time FROM market_regimes WHERE simplified_regime = 'TREND_DOWN'",
        "candle_regime_state_idx",
    ),
    "the most confident candles": (
        "SELECT symbol, open_time, simplified_regime FROM market_regimes ORDER BY confidence DESC LIMIT 20",
        "candle_regime_confidence_idx",
    ),
    "how many are confident": (
        "SELECT count(*) FROM market_regimes WHERE confidence > 0.995",
        "candle_regime_confidence_idx",
    ),
    "the distribution of confidence in a market": (
        "SELECT width_bucket(confidence, 0, 1, 10), count(*) FROM candle_regime WHERE series_id = 3 GROUP BY 1",
        "candle_regime_pkey",
    ),
}


@pytest.fixture(scope="module")
def filled(postgres_url: str) -> Iterator[psycopg.Connection]:
    with fresh_database(postgres_url) as url, psycopg.connect(url, autocommit=True) as connection:
        migrate.upgrade(url)
        connection.execute(_SERIES + "FROM generate_series(1, 6) AS i")
        connection.execute("SELECT setseed(0.5)")
        connection.execute(_FILL, (ROWS,))
        connection.execute("VACUUM ANALYZE candle_regime")
        yield connection


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_question_is_answered_from_an_index(filled: psycopg.Connection, name: str) -> None:
    question, index = QUESTIONS[name]
    plan = "\n".join(row[0] for row in filled.execute(f"EXPLAIN {question}").fetchall())

    assert index in plan, plan
    assert "Seq Scan on candle_regime" not in plan, plan
