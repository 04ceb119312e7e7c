"""Hourly features against the naive reference, with their layout, units and missing values."""

import numpy as np
import pytest

from regime_pipeline.domain.columnar import DTYPES
from regime_pipeline.domain.features.hourly import compute_features, feature_lookback_bars
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.schema import FEATURES, OK, PARTIAL
from regime_pipeline_tests.domain.verdicts.factories import POLICY, WINDOW, assert_same, flat, hours_of, take, walk
from regime_pipeline_tests.reference.naive_features import naive_features


def test_every_column_of_the_layout_is_there_with_its_type() -> None:
    candles = walk(200)

    rows = compute_features(candles, hours_of(candles), POLICY)

    assert list(rows) == [column.name for column in FEATURES]
    assert {name: column.dtype for name, column in rows.items()} == {
        column.name: np.dtype(DTYPES[column.kind]) for column in FEATURES
    }
    assert {len(column) for column in rows.values()} == {200}


@pytest.mark.parametrize("seed", [11, 12])
def test_every_value_is_that_of_the_naive_implementation(seed: int) -> None:
    candles = walk(700, seed)
    rows = compute_features(candles, hours_of(candles), POLICY)

    for row in np.random.default_rng(seed).choice(np.arange(WINDOW, 700), 12, replace=False):
        expected = naive_features(candles, row, POLICY)
        for name, value in expected.items():
            assert float(rows[name][row]) == pytest.approx(float(value), rel=1e-9, abs=1e-12, nan_ok=True), name
        assert set(expected) | {
            "hour_start",
            "as_of_bar",
            "is_new_bar",
            "status",
            "absent_bars",
            "feature_hash",
        } == set(rows)


def test_rows_without_a_whole_window_have_no_values() -> None:
    candles = walk(WINDOW + 2)

    rows = compute_features(candles, hours_of(candles), POLICY)

    assert (rows["status"] == OK).tolist() == [False] * WINDOW + [True] * 2
    young = take(rows, slice(0, WINDOW))
    for column in FEATURES:
        if column.kind == "float" and column.name != "hour_close":  # an observed price, whatever the window lacks
            assert np.isnan(young[column.name]).all(), column.name
    assert feature_lookback_bars(POLICY) == WINDOW + 1 + POLICY.candle_regime.holes.tolerated(WINDOW)


def test_a_window_with_a_hole_is_that_of_the_bars_that_are_there() -> None:
    candles = walk(700, 11)[np.delete(np.arange(700), [300, 301, 302, 400, 450])]
    hours = hours_of(walk(700, 11))
    rows = compute_features(candles, hours, POLICY)

    partial = np.flatnonzero(rows["status"] == PARTIAL)
    assert set(rows["absent_bars"][partial].tolist()) == {1, 2, 3, 4, 5}
    for row in partial[::23]:
        bar = int(np.searchsorted(candles.open_time_ms, hours[row]))
        for name, value in naive_features(candles, bar, POLICY).items():
            assert float(rows[name][row]) == pytest.approx(float(value), rel=1e-9, abs=1e-12, nan_ok=True), name


def test_hours_between_two_bars_repeat_the_newest_bar() -> None:
    candles = walk(WINDOW + 5, market=Market("A-USDT", "4h"))
    hours = hours_of(candles)

    rows = compute_features(candles, hours, POLICY)

    last_bar = take(rows, slice(-5, -1)), take(rows, slice(-9, -5))
    assert last_bar[0]["is_new_bar"].tolist() == [False, False, False, True] or rows["is_new_bar"][-1]
    closing = np.flatnonzero(rows["is_new_bar"] & (rows["status"] == OK))
    for row in closing[:-1]:
        repeated = {name: np.repeat(column[row : row + 1], 4) for name, column in rows.items()}
        group = take(rows, slice(row, row + 4))
        for rows_of in (repeated, group):
            rows_of.pop("hour_start")
            rows_of.pop("is_new_bar")
        assert_same(repeated, group)


def test_bars_below_one_hour_are_read_at_the_hour_s_close() -> None:
    candles = walk(WINDOW + 41, market=Market("A-USDT", "15m"))
    hours = hours_of(candles)

    rows = compute_features(candles, hours, POLICY)

    ok = rows["status"] == OK
    closes = dict(zip(candles.close_time_ms.tolist(), candles.prices("close").tolist(), strict=True))
    assert ok.sum() == 10
    assert rows["close"][ok].tolist() == [closes[hour + HOUR_MS] for hour in hours[ok].tolist()]


def test_prices_are_in_quote_currency_and_scale_with_it() -> None:
    candles = walk(WINDOW + 10)

    rows = compute_features(candles, hours_of(candles), POLICY)

    assert rows["tick"][-1] == 1 / candles.price_scale
    assert rows["close"][-1] == candles.prices("close")[-1]
    assert rows["range_low"][-1] < rows["close"][-1] * 1.5
    assert rows["donchian_high"][-1] == candles.prices("high")[-49:-1].max()


def test_a_flat_market_has_values_but_no_range() -> None:
    rows = compute_features(flat(WINDOW + 3), hours_of(flat(WINDOW + 3)), POLICY)

    assert rows["status"][-1] == OK
    assert rows["range_methods"][-1] <= 1
    assert np.isnan(rows["range_low"][-1])
    for name in ("efficiency_ratio", "adx", "slope_t", "variance_ratio_z", "vol_log_ratio", "atr_change_log"):
        assert rows[name][-1] == 0.0, name


def test_no_hours_give_no_rows() -> None:
    rows = compute_features(walk(10), np.empty(0, dtype=np.int64), POLICY)

    assert {len(column) for column in rows.values()} == {0}
