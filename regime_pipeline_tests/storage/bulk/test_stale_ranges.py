"""Dirty marks: exactly the hours a correction reaches, cleared by exactly the write that saw it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.window import hour_of_close
from regime_pipeline.storage.bulk.columns import bulk_table
from regime_pipeline.storage.bulk.diff import Difference
from regime_pipeline.storage.bulk.stale_ranges import mark_stale, stale_spans
from regime_pipeline.storage.bulk.transaction import late_closes
from regime_pipeline_tests.storage.factories import (
    ETH,
    MINUTES,
    START_MS,
    begin,
    changed,
    hours,
    random_candles,
    random_rows,
    without,
    write_candles,
)

WINDOW = hours(0, 48)
REACH = {"features": 5 * HOUR_MS, "candle_regime": 2 * HOUR_MS, "hourly_snapshots": 0}


def dirty_hours(warehouse, asset, market=None):
    """Hours marked, counted from the start."""
    marked = set()
    for mark in warehouse.dirty(market, asset):
        marked |= {(hour - START_MS) // HOUR_MS for hour in mark.window.hours.tolist()}
    return sorted(marked)


@pytest.fixture
def stored(warehouse):
    run = begin(warehouse, ETH, MINUTES)
    candles = random_candles(ETH, WINDOW)
    write_candles(warehouse, candles, WINDOW, run, REACH)
    assert warehouse.dirty() == []
    return candles


def test_a_changed_bar_marks_the_hours_it_reaches(warehouse, stored):
    write_candles(warehouse, changed(stored, 10, 7), WINDOW, begin(warehouse), REACH)
    assert dirty_hours(warehouse, "features") == [10, 11, 12, 13, 14, 15]
    assert dirty_hours(warehouse, "candle_regime") == [10, 11, 12]
    assert dirty_hours(warehouse, "hourly_snapshots") == [10]
    assert {(mark.market, mark.reason) for mark in warehouse.dirty()} == {(ETH, "candles corrected")}


def test_the_same_candles_and_new_hours_mark_nothing(warehouse, stored):
    write_candles(warehouse, stored, WINDOW, begin(warehouse), REACH)
    write_candles(warehouse, random_candles(ETH, hours(48, 5)), hours(48, 5), begin(warehouse), REACH)
    assert warehouse.dirty() == []


def test_a_removed_bar_and_a_late_bar_mark_alike(warehouse, stored):
    write_candles(warehouse, without(stored, 20), WINDOW, begin(warehouse), REACH)
    assert dirty_hours(warehouse, "features") == list(range(20, 26))
    for asset in REACH:
        warehouse.clear_stale(asset, ETH, WINDOW, begin(warehouse))
    assert warehouse.dirty() == []
    write_candles(warehouse, stored, WINDOW, begin(warehouse), REACH)
    assert dirty_hours(warehouse, "features") == list(range(20, 26))


def test_earlier_history_that_comes_late_marks_itself_and_what_follows(warehouse, stored):
    earlier = hours(-3, 3)
    write_candles(warehouse, random_candles(ETH, earlier), earlier, begin(warehouse), REACH)
    assert dirty_hours(warehouse, "features") == list(range(-3, 5))


def test_nothing_beyond_the_newest_recorded_hour_is_marked(warehouse, stored):
    write_candles(warehouse, changed(stored, 46, 7), WINDOW, begin(warehouse), REACH | {"scores": 10**15})
    assert dirty_hours(warehouse, "features") == [46, 47]
    assert dirty_hours(warehouse, "scores") == [46, 47]


def test_a_partial_rewrite_elsewhere_does_not_mark(warehouse, stored):
    part = stored[12:20]
    write_candles(warehouse, part, hours(12, 8), begin(warehouse), REACH)
    assert warehouse.dirty() == []


def test_marks_of_bars_apart_stay_apart_and_near_ones_join(warehouse, stored):
    write_candles(warehouse, changed(changed(changed(stored, 3, 9), 5, 9), 30, 9), WINDOW, begin(warehouse), REACH)
    spans = [(m.window.start_ms, m.window.end_ms) for m in warehouse.dirty(ETH, "candle_regime")]
    assert [((a - START_MS) // HOUR_MS, (b - START_MS) // HOUR_MS) for a, b in spans] == [(3, 8), (30, 33)]


def test_the_write_that_recomputes_clears_what_it_covers_and_splits_the_rest(warehouse, stored):
    write_candles(warehouse, changed(stored, 10, 7), WINDOW, begin(warehouse), REACH)
    run, part = begin(warehouse), hours(12, 2)
    warehouse.replace_range("features", ETH, part, random_rows(bulk_table("features"), ETH, part), run)
    assert dirty_hours(warehouse, "features") == [10, 11, 14, 15]
    assert len({mark.mark for mark in warehouse.dirty(ETH, "features")}) == 1
    assert dirty_hours(warehouse, "candle_regime") == [10, 11, 12]
    rest = hours(0, 48)
    warehouse.replace_range("features", ETH, rest, random_rows(bulk_table("features"), ETH, rest), run)
    assert warehouse.dirty(ETH, "features") == []


def test_unchanged_content_clears_too(warehouse, stored):
    rows = random_rows(bulk_table("features"), ETH, WINDOW)
    warehouse.replace_range("features", ETH, WINDOW, rows, begin(warehouse))
    write_candles(warehouse, changed(stored, 10, 7), WINDOW, begin(warehouse), REACH)
    report = warehouse.replace_range("features", ETH, WINDOW, rows, begin(warehouse))
    assert report.written_partitions == 0
    assert warehouse.dirty(ETH, "features") == []


def test_a_correction_after_the_run_began_keeps_its_mark(warehouse, stored):
    early = begin(warehouse)
    write_candles(warehouse, changed(stored, 10, 7), WINDOW, begin(warehouse), REACH)
    warehouse.replace_range("features", ETH, WINDOW, random_rows(bulk_table("features"), ETH, WINDOW), early)
    warehouse.clear_stale("hourly_snapshots", ETH, WINDOW, early)
    assert dirty_hours(warehouse, "features") == list(range(10, 16))
    assert dirty_hours(warehouse, "hourly_snapshots") == [10]


def test_marks_belong_to_one_market(warehouse, stored):
    window = hours(0, 3)
    minutes = random_candles(MINUTES, window)
    write_candles(warehouse, minutes, window, begin(warehouse), REACH)
    write_candles(warehouse, changed(minutes, 65, 7), window, begin(warehouse), {"features": HOUR_MS})
    assert dirty_hours(warehouse, "features", ETH) == []
    assert dirty_hours(warehouse, "features", MINUTES) == [1]
    warehouse.clear_stale("features", ETH, WINDOW, begin(warehouse))
    assert dirty_hours(warehouse, "features", MINUTES) == [1]


def test_an_hour_that_turns_complete_without_a_new_bar_is_marked(warehouse):
    run = begin(warehouse, ETH)
    candles = random_candles(ETH, WINDOW)
    statuses = {
        "hour_start": WINDOW.hours,
        "expected": np.ones(48, dtype=np.int16),
        "present": np.ones(48, dtype=np.int16),
        "status": np.full(48, 2, dtype=np.int8),
    }
    warehouse.replace_candles(ETH, WINDOW, candles, statuses, run, REACH)
    statuses["status"] = statuses["status"].copy()
    statuses["status"][7] = 0
    warehouse.replace_candles(ETH, WINDOW, candles, statuses, begin(warehouse), REACH)
    assert dirty_hours(warehouse, "features") == list(range(7, 13))


def test_ids_follow_the_order_of_commits(each_warehouse):
    """A correction waits for another's commit before it takes an id, so that no lower id can appear later."""
    run = begin(each_warehouse, ETH, MINUTES)
    candles = random_candles(ETH, hours(0, 4))
    write_candles(each_warehouse, candles, hours(0, 4), run, REACH)
    closes = np.array([START_MS + HOUR_MS])
    with ThreadPoolExecutor(1) as threads, psycopg.connect(each_warehouse.url) as slow:
        mark_stale(slow.cursor(), each_warehouse.series_id(MINUTES), run, closes, int(closes[0]), {"scores": 0}, "slow")
        correction = changed(candles, 1, 7), hours(0, 4), run, {"features": 0}
        other = threads.submit(write_candles, each_warehouse, *correction)
        with pytest.raises(TimeoutError):
            other.result(timeout=0.3)
        assert each_warehouse.dirty() == []
        slow.commit()
        other.result(timeout=30)
    assert [mark.asset for mark in each_warehouse.dirty()] == ["scores", "features"]


def test_a_row_in_the_newest_recorded_hour_is_late_and_one_after_it_is_not():
    end = START_MS + 5 * HOUR_MS
    added = np.array([START_MS + 3 * HOUR_MS, START_MS + 4 * HOUR_MS, START_MS + 5 * HOUR_MS])
    nothing = {"open_time": np.empty(0, dtype=np.int64)}
    difference = Difference(added, nothing, np.empty(0, dtype=np.bool_))
    assert late_closes(difference, "open_time", HOUR_MS, end).tolist() == [end - HOUR_MS, end]


@given(
    st.sampled_from([1, 5, 15, 60, 240]),
    st.lists(st.integers(0, 3000), min_size=1, max_size=8, unique=True),
    st.integers(0, 400),
    st.integers(0, 100),
    st.booleans(),
)
def test_stale_spans_are_the_hours_a_naive_search_finds(minutes, bars, reach_minutes, end_hours, is_per_bar):
    """Per hour: its close lies in [close, close + reach]. Per bar: it holds a bar that closes then."""
    timeframe = {1: "1m", 5: "5m", 15: "15m", 60: "1h", 240: "4h"}[minutes]
    market = Market("ETH-USDT", timeframe)
    opens = START_MS + np.array(sorted(bars)) * market.step_ms
    closes, reach = opens + market.step_ms, reach_minutes * MINUTE_MS
    end = int(hour_of_close(market, opens)[-1]) + (end_hours + 1) * HOUR_MS
    asset = "candle_regime" if is_per_bar else "features"
    found = {int(hour) for span in stale_spans(asset, closes, reach, end) for hour in span.hours}
    expected = set()
    for close in closes.tolist():
        first = (close - 1) // HOUR_MS * HOUR_MS
        for hour in range(first, close + reach + HOUR_MS, HOUR_MS):
            reached = hour < close + reach if is_per_bar else hour + HOUR_MS <= close + reach
            if hour == first or (reached and hour < end):
                expected.add(hour)
    assert found == expected
