"""Writers that race all succeed and leave one of their contents; readers see the old or the new, never a mixture."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg

from regime_pipeline.storage.bulk.columns import CANDLE_REGIME, bulk_table
from regime_pipeline.storage.bulk.statements import moment, select_arrays
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.bulk.test_regime_periods import assert_periods_are_from_scratch
from regime_pipeline_tests.storage.factories import (
    ETH,
    MINUTES,
    begin,
    hours,
    random_candles,
    random_rows,
    write_candles,
)

WINDOW = hours(0, 4)


def test_racing_writers_of_one_window_all_succeed_and_one_content_remains(each_warehouse):
    run = begin(each_warehouse, MINUTES)
    contents = [random_rows(CANDLE_REGIME, MINUTES, WINDOW, seed) for seed in range(3)]

    def write(number: int) -> int:
        with Warehouse(each_warehouse.url) as own:
            reports = [
                own.replace_range("candle_regime", MINUTES, WINDOW, contents[number], run).rows for _ in range(12)
            ]
        return len(reports)

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(write, range(3))) == 36
    found = each_warehouse.read_range("candle_regime", MINUTES, WINDOW)
    assert sum(all(found[name].tobytes() == rows[name].tobytes() for name in rows) for rows in contents) == 1
    assert_periods_are_from_scratch(each_warehouse, MINUTES)


def test_writers_of_overlapping_candles_and_hours_do_not_deadlock(each_warehouse):
    begin(each_warehouse, ETH)

    def write(number: int) -> None:
        window = hours(number % 4, 6)
        write_candles(
            each_warehouse, random_candles(ETH, window, number), window, begin(each_warehouse), {"features": 10**9}
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(16)))
    assert len(each_warehouse.read_range("candles", ETH, hours(0, 9))["close"]) == 9


def test_writers_of_different_markets_do_not_wait(each_warehouse):
    run = begin(each_warehouse, ETH, MINUTES)
    with psycopg.connect(each_warehouse.url) as connection:
        key = f"candle_regime|{each_warehouse.series_id(MINUTES)}"
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
        rows = random_rows(CANDLE_REGIME, ETH, WINDOW)
        assert each_warehouse.replace_range("candle_regime", ETH, WINDOW, rows, run).inserted_rows == 4


def test_readers_see_the_old_content_or_the_new(each_warehouse):
    run = begin(each_warehouse, MINUTES)
    contents = [random_rows(CANDLE_REGIME, MINUTES, WINDOW, seed) for seed in range(2)]
    contents[1] = {name: values[::2] for name, values in contents[1].items()}
    each_warehouse.replace_range("candle_regime", MINUTES, WINDOW, contents[0], run)
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            found = each_warehouse.read_range("candle_regime", MINUTES, WINDOW)
            seen.add(tuple(all(np.array_equal(found[name], rows[name]) for name in rows) for rows in contents))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(30):
        each_warehouse.replace_range("candle_regime", MINUTES, WINDOW, contents[(turn + 1) % 2], run)
    stop.set()
    reader.join()
    assert seen == {(True, False), (False, True)}


def plan_of(connection: psycopg.Connection, query: bytes | str, parameters=None) -> str:
    encoded = query if isinstance(query, bytes) else query.encode()
    return "\n".join(row[0] for row in connection.execute(b"EXPLAIN " + encoded, parameters).fetchall())


def test_single_market_queries_use_indexes(each_warehouse):
    run, window = begin(each_warehouse, MINUTES, ETH), hours(0, 200)
    each_warehouse.replace_range("candle_regime", MINUTES, window, random_rows(CANDLE_REGIME, MINUTES, window), run)
    features = random_rows(bulk_table("features"), ETH, window)
    each_warehouse.replace_range("features", ETH, window, features, run)
    with psycopg.connect(each_warehouse.url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.execute("CREATE TABLE flushed ()")  # what is not on disk yet, vacuum cannot mark as visible to all
        connection.execute("VACUUM ANALYZE")
        span = {"series_id": 1, "start": moment(window.start_ms), "end": moment(hours(0, 2).end_ms)}
        regimes = plan_of(connection, select_arrays("candle_regime", ("open_time", "confidence", "state")), span)
        assert "Index Only Scan using candle_regime_pkey" in regimes
        assert "Sort" not in regimes
        hourly = plan_of(connection, select_arrays("features", ("hour_start", "close")), span | {"series_id": 2})
        assert "features_pkey" in hourly
        view = plan_of(
            connection,
            "SELECT open_time, simplified_regime, confidence FROM market_regimes WHERE symbol = 'SOL-USDT' "
            "AND timeframe = '1m' AND open_time >= '2024-03-01' AND open_time < '2024-03-02'",
        )
        assert "candle_regime_pkey" in view
        assert "Seq Scan on candle_regime" not in view
        assert "runs" not in view
        latest = plan_of(connection, "SELECT max(open_time) FROM candle_regime WHERE series_id = 1")
        assert "Index Only Scan Backward using candle_regime_pkey" in latest
