"""Hourly rows of advice: the version valid at each close, nothing later, and the same as one hour asked alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.columnar import DTYPES, Rows
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.grids.advice_hourly import advice_hash, advice_lookback_bars, explain_rows, grid_advice_rows
from regime_pipeline.domain.grids.comparison import compare
from regime_pipeline.domain.grids.config import GridConfigError
from regime_pipeline.domain.grids.schema import ACTIONS, ADVICE_STATUSES, GRID_ADVICE, INVENTORY, without_stop
from regime_pipeline.domain.grids.versions import History, new_version
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.schema import FEATURES, VARIANCES, VERDICT_COLUMNS, VERDICTS
from regime_pipeline.services.hold_model import default_hold_model
from regime_pipeline_tests.domain.grids.factories import FIELDS, MARKET, POLICY, START, START_MS, bars, history_of
from regime_pipeline_tests.domain.grids.one_hour import advise
from regime_pipeline_tests.domain.verdicts.factories import assert_same, blank_rows, take

HOURS = 120
RANGE_OK, TREND = VERDICTS.index("RANGE_OK"), VERDICTS.index("TREND")
AT = START_MS + HOUR_MS * np.arange(HOURS, dtype=np.int64)
HISTORY = history_of(
    {}, {"enabled": False}, {"enabled": True, "lower": "95", "upper": "105"}, {"levels": 5}, every=timedelta(hours=20)
)


def rows_of(count: int, **values: Any) -> tuple[Rows, Rows]:
    """Verdict and feature rows from START on."""
    verdicts = blank_rows(VERDICT_COLUMNS, count, **values)
    features = blank_rows(FEATURES, count, atr=2.0)
    for rows in (verdicts, features):
        rows["hour_start"] = rows["as_of_bar"] = START_MS + HOUR_MS * np.arange(count, dtype=np.int64)
    return verdicts, features


def scene(seed: int) -> tuple[Candles, Rows, Rows]:
    """Bars that wander out of the grid, some missing, with any verdicts and ranges."""
    rng = np.random.default_rng(seed)
    close = np.maximum(10_000 + np.cumsum(rng.integers(-500, 501, HOURS)), 2_000)
    opens = np.concatenate([close[:1], close[:-1]])
    candles = bars(np.column_stack([opens, np.maximum(opens, close), np.minimum(opens, close), close]).tolist())
    low = np.where(rng.random(HOURS) < 0.2, np.nan, close / 100 - 8)
    verdicts, features = rows_of(HOURS, range_low=low, range_high=low + 16)
    verdicts["verdict"] = rng.choice(len(VERDICTS), HOURS, p=[0.1, 0.5, 0.1, 0.2, 0.1]).astype(np.int8)
    return candles[rng.random(HOURS) > 0.05], verdicts, features


def test_rows_have_the_columns_of_the_layout() -> None:
    candles, verdicts, features = scene(1)

    rows = grid_advice_rows(AT, verdicts, features, candles, HISTORY, POLICY)

    assert list(rows) == [column.name for column in GRID_ADVICE]
    assert all(rows[column.name].dtype == DTYPES[column.kind] for column in GRID_ADVICE)
    assert {len(column) for column in rows.values()} == {HOURS}
    assert set(rows["advice_hash"]) == {advice_hash("0", POLICY)}
    for column in GRID_ADVICE:
        if column.categories:
            assert 0 <= rows[column.name].min() <= rows[column.name].max() < len(column.categories)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_property_49_each_row_says_what_one_hour_asked_alone_says(seed: int) -> None:
    candles, verdicts, features = scene(seed)
    rows = grid_advice_rows(AT, verdicts, features, candles, HISTORY, POLICY)
    explained = explain_rows(rows, verdicts, HISTORY, POLICY)

    for row in range(0, HOURS, 7):
        close_ms = int(AT[row]) + HOUR_MS
        config = [version for version in HISTORY if version.valid_from_ms <= close_ms][-1]
        low, high = (verdicts[name][row : row + 1] for name in ("range_low", "range_high"))
        known = {int(t): price for t, price in zip(candles.open_time_ms, candles.prices("close"), strict=True)}
        closes = [known.get(int(AT[row]) - age * HOUR_MS, np.nan) for age in (1, 0)]
        moved = HISTORY[2].valid_from_ms
        ages = [(close_ms - moved) // HOUR_MS] if moved <= close_ms else []
        verdict = {name: verdicts[name][row] for name in ("verdict", "range_low", "range_high")}
        alone = advise(
            config, verdict, compare(config, low, high, np.array([2.0]), POLICY.grid_capacity), closes, ages, POLICY
        )

        assert rows["config_version"][row] == config.version
        assert ADVICE_STATUSES[rows["status"][row]] == alone.status
        assert ACTIONS[rows["action"][row]] == alone.action
        assert INVENTORY[rows["inventory"][row]] == alone.inventory
        assert bool(rows["enabled"][row]) == alone.enabled == config.enabled
        assert bool(rows["is_actionable"][row]) == alone.is_actionable
        assert tuple(explained[row]) == alone.reasons
        assert all(factor.sentence for factor in explained[row])
        assert rows["configured_levels"][row] == config.levels


@given(st.integers(0, 10**6), st.integers(0, HOURS - 1), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_a_row_knows_nothing_after_its_close_and_little_before(seed: int, first: int, count: int) -> None:
    candles, verdicts, features = scene(seed)
    chosen = slice(first, min(first + count, HOURS))
    whole = grid_advice_rows(AT, verdicts, features, candles, HISTORY, POLICY)

    hours = AT[chosen]
    end = int(hours[-1]) + HOUR_MS
    least = candles.between(int(hours[0]) - (advice_lookback_bars(POLICY) - 1) * HOUR_MS, end)
    known = tuple(config for config in HISTORY if config.valid_from_ms <= end)
    found = grid_advice_rows(hours, take(verdicts, chosen), take(features, chosen), least, known, POLICY)

    assert_same(found, take(whole, chosen))


def test_a_version_holds_from_the_close_it_was_made_at() -> None:
    candles, verdicts, features = scene(2)
    rows = grid_advice_rows(AT, verdicts, features, candles, HISTORY, POLICY)

    assert rows["config_version"][[18, 19, 20]].tolist() == [1, 2, 2]
    assert rows["bars_since_reposition"][[39, 40]].tolist() == [0.0, 1.0]
    assert np.isnan(rows["bars_since_reposition"][38])


def test_without_a_grid_the_rows_say_so() -> None:
    candles, verdicts, features = scene(3)
    late = history_of({}, every=timedelta(hours=1))
    early = AT[:1] - HOUR_MS * 3
    verdicts["hour_start"][0] = features["hour_start"][0] = early[0]

    none = grid_advice_rows(AT[1:], take(verdicts, slice(1, None)), take(features, slice(1, None)), candles, (), POLICY)
    before = grid_advice_rows(early, verdicts, features, candles, late, POLICY)

    for rows in (none, before):
        assert set(rows["status"]) == {ADVICE_STATUSES.index("NO_GRID")}
        assert set(rows["action"]) == set(rows["inventory"]) == set(rows["config_version"]) == {0}
        assert not rows["is_actionable"].any()
        assert not rows["enabled"].any()
        assert np.isnan(rows["iou"]).all()
        (factors,) = explain_rows(take(rows, slice(1)), take(verdicts, slice(1)), (), POLICY)
        assert "No grid is configured" in factors[0].sentence


def test_property_52_a_missing_bar_ends_the_closes_in_a_row() -> None:
    outside = bars([[12_000, 12_000, 12_000, 12_000]] * 6)
    verdicts, features = rows_of(6, verdict=RANGE_OK, range_low=112.0, range_high=130.0)
    history = history_of({})

    whole = grid_advice_rows(AT[:6], verdicts, features, outside, history, POLICY)
    holed = grid_advice_rows(AT[:6], verdicts, features, outside[np.arange(6) != 3], history, POLICY)

    assert whole["closes_outside"].tolist() == [1, 2, 2, 2, 2, 2]
    assert holed["closes_outside"].tolist() == [1, 2, 2, 0, 1, 2]
    assert [ACTIONS[code] for code in holed["action"]] == [
        "KEEP",
        "REPOSITION",
        "REPOSITION",
        "KEEP",
        "KEEP",
        "REPOSITION",
    ]
    assert INVENTORY[holed["inventory"][3]] == "NONE"


def followed(seed: int) -> list[int]:
    """Hours at which somebody who follows every advice to reposition moves the grid."""
    candles, verdicts, features = scene(seed)
    history: History = history_of({})
    moved = []
    for row in range(HOURS):
        rows = grid_advice_rows(AT[row : row + 1], verdicts, features, candles, history, POLICY)
        if ACTIONS[rows["action"][0]] == "REPOSITION":
            assert verdicts["verdict"][row] == RANGE_OK
            edges = {"lower": rows["proposed_lower"][0], "upper": rows["proposed_upper"][0]}
            when = START + timedelta(hours=row + 1)
            update = edges | {"limit_lower": None, "limit_upper": None}
            history = new_version(history, update, expected_version=len(history), who="bot", when=when, why="moved")
            moved.append(row)
    return moved


@given(st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_property_53_whoever_follows_every_reposition_moves_at_most_once_in_24_bars(seed: int) -> None:
    assert np.diff(followed(seed)).min(initial=24) >= 24


def test_property_53_whoever_follows_does_move() -> None:
    assert max(len(followed(seed)) for seed in range(4)) >= 3


def test_a_bar_above_one_hour_counts_bars_not_hours() -> None:
    market = Market("TEST-USDT", "4h")
    times = START_MS + 4 * HOUR_MS * np.arange(12, dtype=np.int64)
    flat = np.full(12, 10_000)
    candles = Candles(market, 100, times, flat, flat, flat, flat, np.ones(12))
    verdicts, features = rows_of(48, verdict=RANGE_OK, range_low=90.0, range_high=110.0)
    for rows in (verdicts, features):
        rows["as_of_bar"] = (rows["hour_start"] + HOUR_MS) // (4 * HOUR_MS) * (4 * HOUR_MS) - 4 * HOUR_MS
    history = history_of({}, {"upper": "111"}, every=timedelta(hours=5))

    found = grid_advice_rows(verdicts["hour_start"], verdicts, features, candles, history, POLICY)

    assert found["bars_since_reposition"][[3, 4, 6, 7, 10, 11, 15]].tolist()[1:] == [0, 0, 1, 1, 2, 3]


def test_what_does_not_fit_is_refused() -> None:
    candles, verdicts, features = scene(4)

    with pytest.raises(MissingDataError, match="verdicts for the hour"):
        grid_advice_rows(AT + HOURS * HOUR_MS, verdicts, features, candles, (), POLICY)
    with pytest.raises(MissingDataError, match="features for the hour"):
        grid_advice_rows(AT, verdicts, take(features, slice(1, None)), candles, (), POLICY)
    with pytest.raises(GridConfigError, match="symbol = 'BTC-USDT': must be TEST-USDT, the market's"):
        grid_advice_rows(AT, verdicts, features, candles, history_of({"symbol": "BTC-USDT"}), POLICY)


def test_the_hash_follows_verdict_and_policy() -> None:
    other = POLICY.model_copy(update={"grids": POLICY.grids.model_copy(update={"outside_closes": 3})})

    assert advice_hash("0", POLICY) != advice_hash("1", POLICY)
    assert advice_hash("0", POLICY) != advice_hash("0", other)
    assert (FIELDS["symbol"], TREND) == (MARKET.symbol, 3)


def test_the_distance_to_the_nearer_edge_is_in_atr_and_an_edge_itself_is_inside() -> None:
    prices = [8_900, 9_000, 10_000, 11_000, 11_300, 11_300]
    verdicts, features = rows_of(6, verdict=RANGE_OK, range_low=90.0, range_high=110.0)
    features["atr"][-1] = 0.0  # a tick takes its place

    rows = grid_advice_rows(AT[:6], verdicts, features, bars([[p] * 4 for p in prices]), history_of({}), POLICY)

    assert rows["edge_distance_atr"] == pytest.approx([0.5, 0.0, -5.0, 0.0, 1.5, 300.0])
    assert rows["closes_outside"].tolist() == [1, 0, 0, 0, 1, 2]


def test_gates_of_a_stop_are_in_the_rows() -> None:
    verdicts, features = rows_of(3, verdict=RANGE_OK, range_low=90.0, range_high=110.0)
    still = bars([[10_000] * 4] * 3)
    gates = without_stop(3) | {"gate_state": np.array([0, 1, 5], dtype=np.int8)}

    stopped = grid_advice_rows(AT[:3], verdicts, features, still, history_of({}), POLICY, gates)
    free = grid_advice_rows(AT[:3], verdicts, features, still, history_of({}), POLICY)

    assert stopped["gate_state"].tolist() == [0, 1, 5]
    assert free["gate_state"].tolist() == [0, 0, 0]


def test_the_hold_probability_is_that_of_the_newest_close() -> None:
    verdicts, features = rows_of(2, verdict=RANGE_OK, range_low=90.0, range_high=110.0)
    scores: Rows = {"hour_start": AT[:2], **{name: np.full(2, 1e-4) for name in VARIANCES}}
    falls = bars([[10_900] * 4, [10_000] * 4])

    rows = grid_advice_rows(
        AT[:2], verdicts, features, falls, history_of({}), POLICY, scores=scores, hold=default_hold_model()
    )

    assert rows["hold_24h"][1] > 2 * rows["hold_24h"][0] > 0
