"""The warehouse's promises: what goes in comes out bit for bit, unchanged content is not written, writers never mix."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import psycopg
import pytest

from regime_pipeline.domain.errors import MissingDataError, StorageError
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.storage import bulk_reads
from regime_pipeline.storage.bulk.columns import BULK_TABLES, bulk_table
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.factories import (
    ETH,
    MINUTES,
    SCALE,
    START_MS,
    assert_same_rows,
    begin,
    changed,
    hours,
    random_candles,
    random_rows,
    write_candles,
)

TABLES = [name for name in BULK_TABLES if name != "candles"]


def wal_position(warehouse: Warehouse) -> int:
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        return int(connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()[0])


def row_versions(warehouse: Warehouse, table: str) -> list[tuple]:
    with psycopg.connect(warehouse.url) as connection:
        return connection.execute(f"SELECT ctid::text, xmin::text, run_id FROM {table} ORDER BY ctid").fetchall()


@pytest.mark.parametrize("name", TABLES)
def test_rows_come_back_bit_for_bit(each_warehouse, name):
    run = begin(each_warehouse, ETH)
    rows = random_rows(bulk_table(name), ETH, hours(0, 60), seed=3)
    report = each_warehouse.replace_range(name, ETH, hours(0, 60), rows, run)
    assert (report.rows, report.inserted_rows, report.written_partitions) == (60, 60, 60)
    assert_same_rows(each_warehouse.read_range(name, ETH, hours(0, 60)), rows)
    part = each_warehouse.read_range(
        name, ETH, hours(7, 5), [bulk_table(name).names[1], bulk_table(name).time, "run_id"]
    )
    assert_same_rows(
        part,
        {
            bulk_table(name).names[1]: rows[bulk_table(name).names[1]][7:12],
            bulk_table(name).time: rows[bulk_table(name).time][7:12],
            "run_id": np.full(5, run, dtype=np.int32),
        },
    )


def test_absent_values_are_null_and_labels_are_names_in_sql(warehouse):
    run = begin(warehouse, ETH)
    rows = random_rows(bulk_table("regime_verdicts"), ETH, hours(0, 3))
    rows["confidence"] = np.array([np.nan, 0.25, np.nan])
    rows["verdict"] = np.array([0, 3, 1], dtype=np.int8)
    warehouse.replace_range("regime_verdicts", ETH, hours(0, 3), rows, run)
    with psycopg.connect(warehouse.url) as connection:
        found = connection.execute("SELECT verdict, confidence FROM market_verdicts ORDER BY hour_start").fetchall()
    assert found == [("INSUFFICIENT_DATA", None), ("TREND", 0.25), ("RANGE_OK", None)]


@pytest.mark.parametrize("timeframe", ["1m", "3m", "15m", "30m", "1h", "2h", "4h", "1d"])
def test_candles_come_back_tick_for_tick_by_open_time(each_warehouse, timeframe):
    market, window = Market("PEPE-USDT", timeframe), hours(0, 48)
    run = begin(each_warehouse, market)
    candles = random_candles(market, window)
    bars, statuses = write_candles(each_warehouse, candles, window, run)
    assert bars.rows == len(candles)
    assert statuses.rows == 48
    found = each_warehouse.read_candles(market, int(candles.open_time_ms[0]), int(candles.open_time_ms[-1]) + 1)
    for column in ("open_time_ms", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(found, column), getattr(candles, column)), column
    half = each_warehouse.read_candles(market, START_MS, START_MS + 24 * HOUR_MS)
    assert np.array_equal(half.open_time_ms, candles.between(START_MS, START_MS + 24 * HOUR_MS).open_time_ms)
    stored = each_warehouse.read_range("candle_hours", market, window)
    assert_same_rows(
        stored,
        {
            name: values.astype(np.int16) if name in ("expected", "present") else values
            for name, values in hour_statuses(market, window, candles, ()).items()
        },
    )
    assert each_warehouse.latest(market) == candles.open_time_ms[-1]


@pytest.mark.parametrize("name", TABLES)
def test_the_same_rows_again_write_nothing(each_warehouse, name):
    first, window = begin(each_warehouse, ETH), hours(0, 200)
    rows = random_rows(bulk_table(name), ETH, window)
    each_warehouse.replace_range(name, ETH, window, rows, first)
    second = begin(each_warehouse)
    before = row_versions(each_warehouse, name), row_versions(each_warehouse, "partition_ledger")
    report = each_warehouse.replace_range(name, ETH, window, rows, second)
    assert (report.written_partitions, report.unchanged_partitions, report.inserted_rows) == (0, 200, 0)
    assert (row_versions(each_warehouse, name), row_versions(each_warehouse, "partition_ledger")) == before
    assert {run for _, _, run in before[0]} == {first}


def test_a_silent_rerun_leaves_no_trace_in_the_log(warehouse):
    run, window = begin(warehouse, ETH), hours(0, 200)
    rows = random_rows(bulk_table("features"), ETH, window)
    warehouse.replace_range("features", ETH, window, rows, run)
    written = []
    for _ in range(5):
        before = wal_position(warehouse)
        warehouse.replace_range("features", ETH, window, rows, run)
        written.append(wal_position(warehouse) - before)
    assert min(written) == 0, "the server's own background writes may show up in some of the tries, not in all"


def test_only_the_changed_hours_are_rewritten(each_warehouse):
    first, window = begin(each_warehouse, ETH), hours(0, 30)
    rows = random_rows(bulk_table("features"), ETH, window)
    each_warehouse.replace_range("features", ETH, window, rows, first)
    second = begin(each_warehouse)
    rows["close"] = rows["close"].copy()
    rows["close"][[4, 5, 20]] = -0.0
    report = each_warehouse.replace_range("features", ETH, window, rows, second)
    assert np.flatnonzero(report.is_written).tolist() == [4, 5, 20]
    assert (report.inserted_rows, report.deleted_rows) == (3, 3)
    assert_same_rows(each_warehouse.read_range("features", ETH, window), rows)
    runs = each_warehouse.read_range("features", ETH, window, ["run_id"])["run_id"]
    assert np.flatnonzero(runs == second).tolist() == [4, 5, 20]
    assert np.flatnonzero(each_warehouse.ledger("features", ETH, window).runs == second).tolist() == [4, 5, 20]


def test_hours_between_changed_ones_keep_their_bars_and_the_sign_of_zero_is_a_change(warehouse):
    first, window = begin(warehouse, MINUTES), hours(0, 6)
    rows = random_rows(bulk_table("candle_regime"), MINUTES, window)
    rows["confidence"][[61, 250]] = 0.0
    warehouse.replace_range("candle_regime", MINUTES, window, rows, first)
    rows["confidence"][[61, 250]] = -0.0
    report = warehouse.replace_range("candle_regime", MINUTES, window, rows, begin(warehouse))
    assert np.flatnonzero(report.is_written).tolist() == [1, 4]
    assert (report.inserted_rows, report.deleted_rows) == (2, 2)
    assert_same_rows(warehouse.read_range("candle_regime", MINUTES, window), rows)


def test_within_a_changed_hour_only_the_changed_bars_are_rewritten(warehouse):
    first, window = begin(warehouse, MINUTES), hours(0, 3)
    rows = random_rows(bulk_table("candle_regime"), MINUTES, window)
    warehouse.replace_range("candle_regime", MINUTES, window, rows, first)
    second = begin(warehouse)
    keep = np.ones(180, dtype=bool)
    keep[70] = False
    rows = {name: values[keep] for name, values in rows.items()}
    rows["confidence"][100] = 0.125
    report = warehouse.replace_range("candle_regime", MINUTES, window, rows, second)
    assert (report.written_partitions, report.inserted_rows, report.deleted_rows) == (1, 1, 2)
    assert_same_rows(warehouse.read_range("candle_regime", MINUTES, window), rows)
    runs = warehouse.read_range("candle_regime", MINUTES, window, ["run_id"])["run_id"]
    assert np.flatnonzero(runs == second).tolist() == [100]


def test_another_configuration_is_recorded_and_stamps_the_hours(warehouse):
    first, window = begin(warehouse, ETH), hours(0, 5)
    rows = random_rows(bulk_table("scores"), ETH, window)
    warehouse.replace_range("scores", ETH, window, rows, first)
    second = begin(warehouse, config="other")
    assert warehouse.replace_range("scores", ETH, window, rows, second).written_partitions == 5
    assert set(warehouse.read_range("scores", ETH, window, ["run_id"])["run_id"].tolist()) == {second}


def test_an_empty_window_removes_rows_and_is_recorded(warehouse):
    run, window = begin(warehouse, ETH), hours(0, 4)
    table = bulk_table("features")
    warehouse.replace_range("features", ETH, window, random_rows(table, ETH, window), run)
    report = warehouse.replace_range("features", ETH, hours(1, 2), table.empty(table.names), run)
    assert (report.deleted_rows, report.written_partitions) == (2, 2)
    assert warehouse.ledger("features", ETH, window).counts.tolist() == [1, 0, 0, 1]
    assert warehouse.ledger("features", ETH, window).is_recorded.all()
    assert len(warehouse.read_range("features", ETH, window)["hour_start"]) == 2


def test_markets_and_tables_do_not_touch_each_other(warehouse):
    other, window = Market("ETH-USDT", "4h"), hours(0, 8)
    run = begin(warehouse, ETH, other)
    rows = {
        market: random_rows(bulk_table("features"), market, window, seed=row) for row, market in enumerate((ETH, other))
    }
    for market, values in rows.items():
        warehouse.replace_range("features", market, window, values, run)
    for market, values in rows.items():
        assert_same_rows(warehouse.read_range("features", market, window), values)
    assert warehouse.last_partition("scores", ETH) is None


def test_unsound_rows_leave_the_table_as_it_was(warehouse):
    run, window = begin(warehouse, ETH), hours(0, 4)
    rows = random_rows(bulk_table("features"), ETH, window)
    warehouse.replace_range("features", ETH, window, rows, run)
    bad = rows | {"status": np.array([0, 1, 9, 0])}
    with pytest.raises(StorageError, match="9 in row 2"):
        warehouse.replace_range("features", ETH, window, bad, run)
    regimes = random_rows(bulk_table("candle_regime"), ETH, window) | {"confidence": np.full(4, 2.0)}
    with pytest.raises(StorageError, match="candle_regime_confidence_check"):
        warehouse.replace_range("candle_regime", ETH, window, regimes, run)
    assert_same_rows(warehouse.read_range("features", ETH, window), rows)
    assert len(warehouse.read_range("candle_regime", ETH, window)["state"]) == 0
    assert not warehouse.ledger("candle_regime", ETH, window).is_recorded.any()


def test_long_spans_are_read_in_pages_of_one_snapshot(warehouse, monkeypatch):
    monkeypatch.setattr(bulk_reads, "PAGE_ROWS", 64)
    run, window = begin(warehouse, MINUTES), hours(0, 7)
    rows = random_rows(bulk_table("candle_regime"), MINUTES, window)
    warehouse.replace_range("candle_regime", MINUTES, window, rows, run)
    assert_same_rows(warehouse.read_range("candle_regime", MINUTES, window), rows)


def test_frames_have_aware_times_and_regimes_by_name(warehouse):
    run, window = begin(warehouse, ETH), hours(0, 60)
    rows = random_rows(bulk_table("candle_regime"), ETH, window)
    warehouse.replace_range("candle_regime", ETH, window, rows, run)
    frame = warehouse.read_frame("candle_regime", ETH, window)
    known_at = frame.pop("known_at")
    assert (known_at - frame["open_time"] == pd.Timedelta(ETH.step_ms, "ms")).all()
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        stored = connection.execute(
            "SELECT open_time, confidence, trend_state, volatility_state, momentum_state, full_regime, "
            "simplified_regime FROM market_regimes ORDER BY open_time"
        ).fetchall()
    assert str(frame["open_time"].dtype) == "datetime64[ms, UTC]"
    assert all(str(frame[name].dtype) == "category" for name in frame.columns[2:])
    pd.testing.assert_frame_equal(
        frame.astype(dict.fromkeys(frame.columns[2:], "str")),
        pd.DataFrame(stored, columns=frame.columns).astype(
            {"open_time": frame["open_time"].dtype, "confidence": "float32"}
        ),
    )
    hourly = random_rows(bulk_table("regime_verdicts"), ETH, window)
    warehouse.replace_range("regime_verdicts", ETH, window, hourly, run)
    verdicts = warehouse.read_frame("regime_verdicts", ETH, window)
    assert (verdicts["known_at"] - verdicts["hour_start"] == pd.Timedelta("1h")).all()
    assert verdicts["verdict"].cat.categories.tolist()[0] == "INSUFFICIENT_DATA"
    assert np.array_equal(verdicts["verdict"].cat.codes, hourly["verdict"])
    assert verdicts["as_of_bar"].isna().sum() == (hourly["as_of_bar"] == np.iinfo(np.int64).min).sum()


def test_markets_are_created_once_whoever_races(each_warehouse):
    def create(_: int) -> int:
        with Warehouse(each_warehouse.url) as own:
            return own.series_id(ETH, venue="v", price_scale=100)

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(create, range(8)))
    assert len(ids) == 1
    assert each_warehouse.series_id(ETH) == ids.pop()
    assert each_warehouse.markets() == [ETH]


def test_a_price_scale_changes_only_on_purpose(warehouse):
    begin(warehouse, ETH)
    with pytest.raises(StorageError, match=r"price scale 100, not 1000.*Warehouse\.rescale"):
        warehouse.series_id(ETH, venue="v", price_scale=1000)
    warehouse.rescale(ETH, 1000)
    assert warehouse.price_scale(ETH) == 1000
    assert warehouse.series_id(ETH, price_scale=1000) == 1


def test_unknown_markets_and_runs(warehouse):
    with pytest.raises(MissingDataError, match="ETH-USDT_1h is not stored"):
        warehouse.series_id(ETH)
    with pytest.raises(MissingDataError, match="ETH-USDT_1h is not stored"):
        warehouse.read_candles(ETH, 0, HOUR_MS)
    table = bulk_table("scores")
    assert_same_rows(warehouse.read_range("scores", ETH, hours(0, 3)), table.empty(table.names))
    assert warehouse.last_partition("scores", ETH) is None
    assert warehouse.latest(ETH) is None
    assert not warehouse.ledger("scores", ETH, hours(0, 3)).is_recorded.any()
    begin(warehouse, ETH)
    with pytest.raises(StorageError, match="Run 77 was never started"):
        warehouse.replace_range("scores", ETH, hours(0, 0), table.empty(table.names), 77)


def test_candles_are_written_with_their_hours_and_of_the_right_market(warehouse):
    run, window = begin(warehouse, ETH, MINUTES), hours(0, 2)
    with pytest.raises(StorageError, match="Call replace_candles"):
        warehouse.replace_range("candles", ETH, window, {}, run)
    candles = random_candles(MINUTES, window)
    with pytest.raises(StorageError, match="Candles of SOL-USDT_1m at scale 100 given for ETH-USDT_1h"):
        warehouse.replace_candles(ETH, window, candles, {}, run, {})


def test_the_newest_partition_and_the_hash_of_each_hours_content(warehouse):
    run, window = begin(warehouse, ETH), hours(0, 30)
    rows = random_rows(bulk_table("scores"), ETH, window)
    report = warehouse.replace_range("scores", ETH, window, rows, run)
    assert warehouse.last_partition("scores", ETH) == START_MS + 29 * HOUR_MS
    again = warehouse.replace_range("scores", ETH, hours(10, 5), {k: v[10:15] for k, v in rows.items()}, run)
    assert again.hashes.tolist() == report.hashes[10:15].tolist()
    assert len(set(report.hashes.tolist())) == 30


def test_a_warehouse_pickles_as_its_url_and_closes(warehouse):
    begin(warehouse, ETH)
    with pickle.loads(pickle.dumps(warehouse)) as copy:
        assert copy.markets() == [ETH]
    assert copy.markets() == [ETH]
    copy.close()


def test_a_database_without_schema_names_the_command(database_url):
    with Warehouse(database_url) as empty, pytest.raises(StorageError, match=r"lacks a table.*regime db upgrade"):
        empty.markets()


def test_a_correction_keeps_the_former_values(each_warehouse):
    window = hours(0, 10)
    first = begin(each_warehouse, ETH)
    candles = random_candles(ETH, window)
    write_candles(each_warehouse, candles, window, first)
    second = begin(each_warehouse)
    write_candles(each_warehouse, changed(candles, 3, 700), window, second)
    third = begin(each_warehouse)
    keep = np.arange(10) != 3
    write_candles(each_warehouse, changed(candles, 3, 700)[keep], window, third)
    with psycopg.connect(each_warehouse.url) as connection:
        rows = connection.execute(
            "SELECT (extract(epoch from open_time) * 1000)::bigint, old_close, old_run_id, run_id, is_removed "
            "FROM market_candle_revisions ORDER BY revised_at"
        ).fetchall()
    at, close = int(candles.open_time_ms[3]), int(candles.close[3])
    assert rows == [(at, close / SCALE, first, second, False), (at, (close + 700) / SCALE, second, third, True)]


def test_a_day_of_hours_may_span_days_and_start_anywhere(warehouse):
    run = begin(warehouse, ETH)
    for first, count in ((5, 3), (20, 60), (2, 1)):
        window = hours(first, count)
        warehouse.replace_range("scores", ETH, window, random_rows(bulk_table("scores"), ETH, window), run)
    recorded = warehouse.ledger("scores", ETH, Window(START_MS, START_MS + 96 * HOUR_MS))
    assert np.flatnonzero(recorded.is_recorded).tolist() == [2, 5, 6, 7, *range(20, 80)]
    with psycopg.connect(warehouse.url) as connection:
        listed = connection.execute("SELECT count(*), sum(row_count) FROM market_partitions").fetchone()
    assert listed == (64, 64)
