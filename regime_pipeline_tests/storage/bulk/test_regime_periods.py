"""Periods kept step by step equal periods built from nothing, whatever was rewritten where."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import psycopg
import pytest

from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED_OF_STATE
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.columns import CANDLE_REGIME
from regime_pipeline.storage.bulk.statements import epoch_ms
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.factories import ETH, MINUTES, begin, hours, random_rows

EVERYTHING = hours(-100, 400)


def naive_periods(warehouse: Warehouse, market: Market) -> list[tuple]:
    """Group every stored candle in plain Python."""
    rows = warehouse.read_range("candle_regime", market, EVERYTHING)
    step, periods = market.step_ms, []
    regimes = SIMPLIFIED_OF_STATE[rows["state"]].tolist()
    candles = list(zip(rows["open_time"].tolist(), regimes, rows["confidence"].tolist(), strict=True))
    for _, group in groupby(enumerate(candles), key=lambda item: (item[1][1], item[1][0] - item[0] * step)):
        members = [candle for _, candle in group]
        confidences = np.array([candle[2] for candle in members])
        average = np.float32(np.add.reduce(confidences) / len(members))
        edges = members[0][0], members[-1][0] + step
        periods.append((*edges, len(members), members[0][1], average, confidences.min(), confidences.max()))
    return periods


def assert_periods_are_from_scratch(warehouse: Warehouse, market: Market) -> None:
    """The stored periods are those of the stored candles; the last alone is open."""
    with psycopg.connect(warehouse.url) as connection:
        found = connection.execute(
            "SELECT t0, t1, n, regime, conf_avg, conf_min, conf_max, is_open FROM regime_period WHERE series_id = %s "
            "ORDER BY t0",
            (warehouse.series_id(market),),
        ).fetchall()
    stored = [(epoch_ms(t0), epoch_ms(t1), *rest) for t0, t1, *rest in found]
    expected = naive_periods(warehouse, market)
    assert [row[:4] for row in stored] == [row[:4] for row in expected]
    for row, wanted in zip(stored, expected, strict=True):
        assert [np.float32(value) for value in row[4:7]] == [np.float32(value) for value in wanted[4:]]
    assert [row[7] for row in stored] == [False] * (len(stored) - 1) + [True] * bool(stored)


def regimes(market: Market, window, seed: int, share: float = 1.0):
    """Rows in long runs of one state, some bars missing."""
    rows = random_rows(CANDLE_REGIME, market, window, seed)
    rng = np.random.default_rng(seed + 1000)
    count = len(rows["state"])
    rows["state"] = np.repeat(rng.integers(0, 19, count // 5 + 1), 5)[:count].astype(np.int16)
    keep = rng.random(count) < share
    return {name: values[keep] for name, values in rows.items()}


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_rewrites_gives_the_periods_of_the_candles(warehouse, seed):
    rng = np.random.default_rng(seed)
    run = begin(warehouse, ETH)
    for step in range(14):
        window = hours(int(rng.integers(0, 60)), int(rng.integers(1, 40)))
        share = float(rng.choice([0.0, 0.8, 1.0], p=[0.15, 0.45, 0.4]))
        warehouse.replace_range("candle_regime", ETH, window, regimes(ETH, window, seed * 100 + step, share), run)
        assert_periods_are_from_scratch(warehouse, ETH)


def test_the_tail_grows_bar_by_bar(each_warehouse):
    run = begin(each_warehouse, ETH)
    for hour in range(12):
        rows = random_rows(CANDLE_REGIME, ETH, hours(hour, 1), hour)
        rows["state"] = np.array([1 if hour % 5 < 3 else 8], dtype=np.int16)
        each_warehouse.replace_range("candle_regime", ETH, hours(hour, 1), rows, run)
        assert_periods_are_from_scratch(each_warehouse, ETH)


def test_a_gap_in_the_candles_ends_a_period(warehouse):
    run, window = begin(warehouse, MINUTES), hours(0, 1)
    rows = random_rows(CANDLE_REGIME, MINUTES, window) | {"state": np.ones(60, dtype=np.int16)}
    keep = np.arange(60) != 30
    warehouse.replace_range("candle_regime", MINUTES, window, {n: v[keep] for n, v in rows.items()}, run)
    with psycopg.connect(warehouse.url) as connection:
        found = connection.execute(
            "SELECT simplified_regime, candles, is_open FROM market_periods ORDER BY 2"
        ).fetchall()
    assert found == [("RANGE", 29, True), ("RANGE", 30, False)]
    warehouse.replace_range("candle_regime", MINUTES, window, rows, run)
    assert_periods_are_from_scratch(warehouse, MINUTES)


def test_markets_keep_periods_of_their_own(warehouse):
    run = begin(warehouse, ETH, MINUTES)
    for market in (ETH, MINUTES):
        warehouse.replace_range("candle_regime", market, hours(0, 5), regimes(market, hours(0, 5), 3), run)
    warehouse.replace_range("candle_regime", ETH, hours(0, 5), regimes(ETH, hours(0, 5), 4, 0.0), run)
    assert_periods_are_from_scratch(warehouse, ETH)
    assert_periods_are_from_scratch(warehouse, MINUTES)
