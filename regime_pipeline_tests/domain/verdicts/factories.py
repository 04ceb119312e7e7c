"""Candles, rows and one call through the whole hourly engine, for the tests of its parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from regime_pipeline.domain.columnar import DTYPES, Rows
from regime_pipeline.domain.features.hourly import compute_features
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, FEATURES, SCORES, Column
from regime_pipeline.domain.scoring.scores import compute_scores
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.explanation import explain
from regime_pipeline.domain.verdicts.verdict import decide_verdicts
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.null_table import default_null_table

POLICY = default_policy()
NULLS = default_null_table()
HOURLY = Market("TEST-USDT", "1h")
START_MS = 1_600_000_000_000 // 86_400_000 * 86_400_000
WINDOW = POLICY.features.window_bars


class Engine(NamedTuple):
    """Rows of the three stages."""

    features: Rows
    scores: Rows
    verdicts: Rows


def walk(bars: int, seed: int = 1, market: Market = HOURLY) -> Candles:
    """Candles of a market that changes its regime."""
    return simulate(market, bars, seed, "easy", START_MS).candles


def flat(bars: int, price: int = 1_000, volume: float = 1.0) -> Candles:
    """Candles of a market that never moves."""
    return from_closes(np.full(bars, price), volume=volume)


def from_closes(close: Any, spread: int = 0, volume: float = 1.0) -> Candles:
    """Candles with the given closes in ticks; each opens at the close before, high and low reach `spread` beyond."""
    close = np.asarray(close, dtype=np.int64)
    opens = np.concatenate([close[:1], close[:-1]])
    times = START_MS + HOUR_MS * np.arange(len(close), dtype=np.int64)
    high, low = np.maximum(opens, close) + spread, np.minimum(opens, close) - spread
    return Candles(HOURLY, 1, times, opens, high, low, close, np.full(len(close), volume))


def newest_window(candles: Candles) -> Windows:
    """The window that ends with the last candle."""
    return Windows.of(candles, np.array([len(candles) - 1]), POLICY.features)


def run(candles: Candles, hours: Int64, policy: Policy = POLICY) -> Engine:
    """Every stage on the same hours."""
    features = compute_features(candles, hours, policy)
    scores = compute_scores(features, hours, candles.market, policy, NULLS)
    return Engine(features, scores, decide_verdicts(features, scores, hours, candles.market, policy))


def hours_of(candles: Candles) -> Int64:
    """Every hour from the first candle's to that of the last close."""
    last = int(candles.close_time_ms[-1]) // HOUR_MS * HOUR_MS
    return np.arange(int(candles.open_time_ms[0]) // HOUR_MS * HOUR_MS, last, HOUR_MS, dtype=np.int64)


def take(rows: Rows, chosen: Any) -> Rows:
    """The chosen rows."""
    return {name: column[chosen] for name, column in rows.items()}


def assert_same(left: Rows, right: Rows) -> None:
    """Refuse the smallest difference in any column, bit for bit."""
    assert list(left) == list(right)
    for name, column in left.items():
        assert column.dtype == right[name].dtype, name
        if column.dtype == object:
            assert column.tolist() == right[name].tolist(), name
        else:
            assert column.tobytes() == right[name].tobytes(), name


def blank_rows(columns: tuple[Column, ...], count: int, **values: Any) -> Rows:
    """Consecutive hourly rows whose columns are zero unless given."""
    rows: Rows = {column.name: np.zeros(count, dtype=DTYPES[column.kind]) for column in columns}
    rows["hour_start"] = rows["as_of_bar"] = START_MS + HOUR_MS * np.arange(count, dtype=np.int64)
    rows["is_new_bar"] = np.ones(count, dtype=np.bool_)
    for column in columns:
        if column.kind == "text":
            rows[column.name] = np.full(count, "0", dtype=object)
    for name, value in values.items():
        rows[name] = np.broadcast_to(np.asarray(value, dtype=rows[name].dtype), count).copy()
    return rows


TRADABLE = {
    "trend_score": 30.0,
    "mean_rev_score": 70.0,
    "vol_change_score": 40.0,
    "range_quality_score": 80.0,
    "grid_capacity_score": 90.0,
    "grid_levels": 10,
    "grid_net_gain_bps": 20.0,
    "ranked_observations": 500,
    **dict.fromkeys(CLASS_PROBABILITIES, np.nan),
}
"""Scores of a clean range, without class probabilities: the scores alone decide."""


def staged(count: int = 1, feature_values: dict[str, Any] | None = None, **score_values: Any) -> Engine:
    """Rows of consecutive hours whose scores are those of a clean range unless given, and their verdicts."""
    found = {"close": 100.0, "range_low": 90.0, "range_high": 110.0, "range_confidence": 0.8, "range_methods": 5}
    features = blank_rows(FEATURES, count, **(found | (feature_values or {})))
    scores = blank_rows(SCORES, count, **(TRADABLE | score_values))
    return Engine(features, scores, decide_verdicts(features, scores, features["hour_start"], HOURLY, POLICY))


def decide(count: int = 1, feature_values: dict[str, Any] | None = None, **score_values: Any) -> Rows:
    """The verdicts of `staged`."""
    return staged(count, feature_values, **score_values).verdicts


def factors_of(engine: Engine) -> dict[str, dict[str, Any]]:
    """The factors of the newest hour as documents, by rule."""
    rows = (take(part, slice(-1, None)) for part in (engine.verdicts, engine.scores, engine.features))
    return {factor.rule: factor.document() for factor in explain(*rows, POLICY)[0]}
