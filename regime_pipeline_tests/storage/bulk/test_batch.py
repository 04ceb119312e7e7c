"""What cannot be stored is refused before a transaction opens; the content hash sees every bit but the run."""

from __future__ import annotations

import re

import numpy as np
import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.storage.bulk.batch import prepare_batch
from regime_pipeline.storage.bulk.columns import BULK_TABLES, CANDLE_REGIME, CANDLES, NO_TIME
from regime_pipeline_tests.storage.factories import ETH, hours, random_rows

VERDICTS = BULK_TABLES["regime_verdicts"]
ADVICE = BULK_TABLES["grid_advice"]
WINDOW = hours(0, 6)


def batch_of(table, rows, config="cfg", market=ETH, window=WINDOW):
    return prepare_batch(table, market, 1, window, rows, config)


@pytest.mark.parametrize(
    ("table", "column", "values", "message"),
    [
        (CANDLES, "close", [1.0, np.nan, 1, 1, 1, 1], "column close: nan in row 1 cannot be stored"),
        (CANDLES, "volume", [1.0, 1, 1, 1, 1, np.inf], "column volume: inf in row 5"),
        (CANDLES, "open", np.ones(5), "different lengths"),
        (CANDLES, "open", ["x"] * 6, "<U1 values where float64 is stored"),
        (CANDLE_REGIME, "state", np.full(6, 70_000), "does not fit int16"),
        (CANDLE_REGIME, "confidence", np.full(6, np.nan), "nan in row 0"),
        (VERDICTS, "verdict", np.full(6, 5), "column verdict: 5 in row 0"),
        (VERDICTS, "verdict", np.full(6, -1), "column verdict: -1 in row 0"),
        (VERDICTS, "is_new_bar", np.full(6, 0.5), "float64 values where bool is stored"),
        (VERDICTS, "policy_hash", np.array(["a", None, "b", "c", "d", "e"], dtype=object), "None in row 1 is not text"),
        (ADVICE, "gate_checks", np.array(["[]", None, "[]", "[]", "[]", "[]"], dtype=object), "None in row 1"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name_and_row(table, column, values, message):
    rows = random_rows(table, ETH, WINDOW) | {column: np.asarray(values)}
    with pytest.raises(StorageError, match=re.escape(message)):
        batch_of(table, rows)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 1, 1, 2, 3, 4], r"row 2\) is not after the row before it"),
        ([0, 2, 1, 3, 4, 5], r"row 2\) is not after"),
        ([0, 1, 2, 3, 4, 6], r"2024-03-01T06:00:00Z \(row 5\) lies outside the window"),
        ([-1, 1, 2, 3, 4, 5], r"row 0\) lies outside the window"),
        ([0, 1, 2, 3, 4, 5.5], r"row 5\) is off the grid"),
    ],
)
def test_keys_out_of_order_off_the_grid_or_outside_are_refused(times, message):
    rows = random_rows(VERDICTS, ETH, WINDOW)
    rows["hour_start"] = WINDOW.start_ms + (np.array(times) * HOUR_MS).astype(np.int64)
    with pytest.raises(StorageError, match=message):
        batch_of(VERDICTS, rows)


def test_an_absent_key_is_refused():
    rows = random_rows(VERDICTS, ETH, WINDOW)
    rows["hour_start"] = np.full(6, NO_TIME)
    with pytest.raises(StorageError, match="column hour_start"):
        batch_of(VERDICTS, rows)


def test_missing_and_unknown_columns_are_named():
    rows = random_rows(CANDLES, ETH, WINDOW)
    rows["vwap"] = rows.pop("volume")
    with pytest.raises(StorageError, match=r"missing \['volume'\], unknown \['vwap'\]"):
        batch_of(CANDLES, rows)


def test_a_bar_counts_in_the_hour_in_which_it_closes():
    market = Market("ETH-USDT", "4h")
    batch = batch_of(CANDLES, random_rows(CANDLES, market, hours(0, 9)), market=market, window=hours(0, 9))
    assert batch.counts.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0]
    quarter = Market("ETH-USDT", "15m")
    batch = batch_of(CANDLES, random_rows(CANDLES, quarter, WINDOW), market=quarter)
    assert batch.counts.tolist() == [4] * 6


@pytest.mark.parametrize("table", list(BULK_TABLES.values()), ids=lambda table: table.name)
def test_the_hash_of_an_hour_changes_with_each_of_its_values_and_no_other(table):
    rows = random_rows(table, ETH, WINDOW, seed=1)
    plain = batch_of(table, rows).hashes
    other = random_rows(table, ETH, WINDOW, seed=2)
    for column in table.columns:
        values = rows[column.name].copy()
        values[3] = (not values[3]) if column.kind == "flag" else other[column.name][3]
        if column.kind == "label":
            values[3] = (rows[column.name][3] + 1) % len(column.categories)
        touched = batch_of(table, rows | {column.name: values}).hashes
        if column.kind in ("float", "time", "text") and str(values[3]) == str(rows[column.name][3]):
            assert np.array_equal(touched, plain)
        else:
            assert (touched != plain).tolist() == [False] * 3 + [True] + [False] * 2, column.name


def test_the_hash_sees_the_configuration_the_sign_of_zero_and_missing_rows_but_not_which_nan():
    rows = random_rows(BULK_TABLES["features"], ETH, WINDOW)
    rows["adx"] = np.array([0.0, np.nan, 1, 1, 1, 1])
    plain = batch_of(BULK_TABLES["features"], rows).hashes
    assert (batch_of(BULK_TABLES["features"], rows, config="other").hashes != plain).all()
    minus = rows | {"adx": np.array([-0.0, -np.nan, 1, 1, 1, 1])}
    assert (batch_of(BULK_TABLES["features"], minus).hashes != plain).tolist() == [True] + [False] * 5
    fewer = {name: values[:-1] for name, values in rows.items()}
    assert (batch_of(BULK_TABLES["features"], fewer).hashes != plain).tolist() == [False] * 5 + [True]


def test_values_swapped_between_columns_or_rows_change_the_hash():
    rows = random_rows(CANDLES, Market("ETH-USDT", "1m"), hours(0, 1))
    one_minute = Market("ETH-USDT", "1m")
    plain = batch_of(CANDLES, rows, market=one_minute, window=hours(0, 1)).hashes
    columns = rows | {"open": rows["close"], "close": rows["open"]}
    assert batch_of(CANDLES, columns, market=one_minute, window=hours(0, 1)).hashes != plain
    reversed_rows = rows | {"volume": rows["volume"][::-1]}
    assert batch_of(CANDLES, reversed_rows, market=one_minute, window=hours(0, 1)).hashes != plain


def test_hashes_are_the_same_on_every_machine_and_in_every_release():
    rows = {"open_time": np.array([WINDOW.start_ms]), "confidence": np.array([0.5]), "state": np.array([8])}
    assert batch_of(CANDLE_REGIME, rows, window=hours(0, 1)).hashes.tolist() == [-6897668860812336604]


def test_documents_are_hashed_by_content_not_by_key_order():
    rows = random_rows(ADVICE, ETH, WINDOW)
    documents = np.empty((2, 6), dtype=object)
    documents[0], documents[1] = [{"a": 1, "b": 2}] * 6, [{"b": 2, "a": 1}] * 6
    first, second = (batch_of(ADVICE, rows | {"gate_checks": values}).hashes for values in documents)
    assert np.array_equal(first, second)
    assert np.array_equal(
        first, batch_of(ADVICE, rows | {"gate_checks": np.array(['{"a":1,"b":2}'] * 6, object)}).hashes
    )
