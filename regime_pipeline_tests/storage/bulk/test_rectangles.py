"""Several markets in one transaction hold what each would if written alone, and writers do not deadlock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.columns import BULK_TABLES, CANDLE_REGIME, CANDLES, bulk_table
from regime_pipeline.storage.warehouse import HourCandles, Warehouse
from regime_pipeline_tests.storage.bulk.rectangle_client import MARKETS
from regime_pipeline_tests.storage.bulk.test_regime_periods import assert_periods_are_from_scratch
from regime_pipeline_tests.storage.factories import (
    assert_same_rows,
    begin,
    hours,
    random_candles,
    random_rows,
    write_candles,
)

TIMEFRAMES = ("1h", "15m", "4h")
EVERYTHING = hours(-24, 96)
REACH = {"features": 6 * 3_600_000, "candle_regime": 3_600_000}
WRITES = st.lists(
    st.tuples(
        st.sampled_from([*BULK_TABLES]),
        st.lists(st.sampled_from(TIMEFRAMES), min_size=1, unique=True),
        st.integers(0, 40),
        st.integers(1, 30),
        st.integers(0, 2),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def market_of(arm: str, timeframe: str) -> Market:
    return Market(f"{arm}{timeframe.upper()}-USDT", timeframe)


def candles_of(market: Market, window: Any, seed: int, is_thinned: bool) -> HourCandles:
    bars = random_candles(market, window, seed)
    bars = bars[np.arange(len(bars)) % 3 != 0] if is_thinned else bars
    return HourCandles(market, window, bars, hour_statuses(market, window, bars, ()), REACH)


def state_of(warehouse: Warehouse, arm: str) -> dict[str, Any]:
    """Everything on record of an arm's markets, by timeframe, without numbers of series and runs."""
    with psycopg.connect(warehouse.url) as connection:
        revisions = connection.execute(
            "SELECT s.timeframe, open_time, old_close, is_removed FROM candle_revisions "
            "JOIN series s USING (series_id) WHERE s.symbol LIKE %s ORDER BY 1, 2, 3, 4",
            (f"{arm}%",),
        ).fetchall()
    dirty = sorted(
        (mark.asset, mark.market.timeframe, mark.window)
        for mark in warehouse.dirty()
        if mark.market.symbol.startswith(arm)
    )
    ledger = {
        (name, timeframe): [
            getattr(warehouse.ledger(name, market_of(arm, timeframe), EVERYTHING), part).tolist()
            for part in ("hashes", "counts", "is_recorded")
        ]
        for name in BULK_TABLES
        for timeframe in TIMEFRAMES
    }
    ends = [warehouse.last_partition(name, market_of(arm, t)) for name in BULK_TABLES for t in TIMEFRAMES]
    return {"revisions": revisions, "dirty": dirty, "ledger": ledger, "ends": ends}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(writes=WRITES)
def test_markets_written_together_hold_what_they_hold_written_alone(warehouse: Warehouse, writes: list[Any]) -> None:
    arms = {arm: [market_of(arm, timeframe) for timeframe in TIMEFRAMES] for arm in ("ONE", "ALL")}
    begin(warehouse, *arms["ONE"], *arms["ALL"])
    for table, timeframes, *content in writes:
        run = warehouse.start_run("1.0", "cfg")
        alone, together = ([market_of(arm, timeframe) for timeframe in timeframes] for arm in arms)
        one_by_one = [said for market in alone for said in written(warehouse, table, [market], content, run)]
        assert written(warehouse, table, together, content, run) == one_by_one
    for one, other in zip(arms["ONE"], arms["ALL"], strict=True):
        for table in BULK_TABLES:
            assert_same_rows(
                warehouse.read_range(table, other, EVERYTHING), warehouse.read_range(table, one, EVERYTHING)
            )
        assert_periods_are_from_scratch(warehouse, other)
    assert state_of(warehouse, "ALL") == state_of(warehouse, "ONE")


def written(warehouse: Warehouse, table: str, markets: list[Market], content: list[Any], run: int) -> list[Any]:
    """Write random rows of the markets in one call; return what the reports say."""
    first, count, seed, is_thinned = content
    window = hours(first, count)
    if table in ("candles", "candle_hours"):
        candles = [candles_of(market, window, seed, is_thinned) for market in markets]
        found: list[Any] = warehouse.replace_candles_of(candles, run)
    else:
        rows = [(market, window, random_rows(bulk_table(table), market, window, seed)) for market in markets]
        found = [(report,) for report in warehouse.replace_ranges(table, rows, run)]
    return [
        (one.table, one.rows, one.inserted_rows, one.deleted_rows, one.is_written.tolist(), one.hashes.tolist())
        for reports in found
        for one in reports
    ]


def test_spans_of_many_markets_read_as_each_alone(each_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(each_warehouse, *MARKETS)
    for number, market in enumerate(MARKETS[:-1]):
        window = hours(number, 10 + number)
        each_warehouse.replace_range(
            "features", market, window, random_rows(bulk_table("features"), market, window), run
        )
    spans = [(market, hours(0, 14).start_ms, hours(0, 14).end_ms) for market in MARKETS]
    spans += [(Market("NEVER-USDT", "1h"), 0, 10**12), (MARKETS[0], 0, 0), (MARKETS[0], *spans[0][1:])]
    wanted = [None, ("close", "hour_start"), ("status",)]
    for rows_at_once in (10**6, 20):
        monkeypatch.setattr("regime_pipeline.storage.bulk_reads.PAGE_ROWS", rows_at_once)
        for columns in wanted:
            found = each_warehouse.read_spans("features", spans[:-1], columns)
            for (market, _, _), rows in zip(spans[:8], found, strict=False):
                assert_same_rows(rows, each_warehouse.read_range("features", market, hours(0, 14), columns))
            assert [len(rows["status" if columns == ("status",) else "close"]) for rows in found[-2:]] == [0, 0]
    assert each_warehouse.read_spans("features", []) == []


def test_candles_of_another_market_or_scale_are_refused_and_nothing_is_written(warehouse: Warehouse) -> None:
    run, window = begin(warehouse, *MARKETS[:2]), hours(0, 2)
    sound = candles_of(MARKETS[0], window, 0, is_thinned=False)
    wrong = HourCandles(MARKETS[1], window, sound.candles, sound.hours, {})

    with pytest.raises(StorageError, match="Candles of R0-USDT_1h at scale 100 given for R1-USDT_1h"):
        warehouse.replace_candles_of([sound, wrong], run)
    with pytest.raises(StorageError, match="Call replace_candles"):
        warehouse.replace_ranges(CANDLES.name, [], run)

    assert not len(warehouse.read_range("candle_hours", MARKETS[0], window)["status"])
    assert warehouse.replace_ranges("features", [], run) == []
    write_candles(warehouse, sound.candles, window, run)


def test_processes_that_write_overlapping_rectangles_do_not_deadlock(warehouse: Warehouse) -> None:
    run, rounds = begin(warehouse, *MARKETS), 20
    program = Path(__file__).with_name("rectangle_client.py")
    writers = [
        subprocess.Popen(
            [sys.executable, program, warehouse.url, str(run), str(seed), str(rounds)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
            env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""},
        )
        for seed in range(2)
    ]
    said = [writer.communicate(timeout=600)[0] for writer in writers]

    assert [text.strip() for text in said] == [str(rounds)] * 2
    with psycopg.connect(warehouse.url) as connection:
        found = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert found == (0,)
    for market in MARKETS:
        assert_periods_are_from_scratch(warehouse, market)
        table = warehouse.read_range(CANDLE_REGIME.name, market, hours(0, 8))
        counts = warehouse.ledger(CANDLE_REGIME.name, market, hours(0, 8)).counts
        assert counts.sum() == len(table["state"])
