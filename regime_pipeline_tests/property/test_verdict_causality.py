"""Every row of the hourly engine is a pure function of the candles and rows before its hour's close."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.features.hourly import compute_features, feature_lookback_bars
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import STATUSES, VERDICTS
from regime_pipeline.domain.scoring.scores import compute_scores, score_lookback_hours
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_lookback_hours
from regime_pipeline_tests.domain.verdicts.factories import (
    NULLS,
    POLICY,
    Engine,
    assert_same,
    hours_of,
    run,
    take,
    walk,
)
from regime_pipeline_tests.reference.naive_features import naive_features

BARS = {"15m": 4_000, "30m": 3_000, "1h": 2_000, "2h": 1_900, "4h": 1_800}
MARKETS = st.sampled_from(sorted(BARS))


@functools.cache
def market(timeframe: str) -> tuple[Candles, Engine]:
    """A market with two holes and the rows of its whole life."""
    bars = BARS[timeframe]
    whole = walk(bars, 51, Market("HOLED-USDT", timeframe))
    candles = whole[np.delete(np.arange(bars), [*range(180, 184), 420])]
    return candles, run(candles, hours_of(candles))


def rows_before(rows: dict[str, Any], hours: Int64, lookback_hours: int) -> dict[str, Any]:
    """The rows a stage needs for the hours, and no other."""
    starts = rows["hour_start"]
    return take(rows, (starts >= hours[0] - lookback_hours * HOUR_MS) & (starts <= hours[-1]))


def from_least_history(candles: Candles, engine: Engine, hours: Int64) -> Engine:
    """The three stages for some hours, each from the least history that it says it needs."""
    step, known = candles.market.step_ms, candles.market
    newest = (hours[0] + HOUR_MS) // step * step
    bars = candles.between(newest - feature_lookback_bars(POLICY) * step, int(hours[-1]) + HOUR_MS)
    features = compute_features(bars.closed_by(int(hours[-1]) + HOUR_MS), hours, POLICY)
    past = rows_before(engine.features, hours, score_lookback_hours(known, POLICY))
    scores = compute_scores(past, hours, known, POLICY, NULLS)
    reach = verdict_lookback_hours(known, POLICY)
    verdicts = decide_verdicts(
        rows_before(engine.features, hours, reach), rows_before(engine.scores, hours, reach), hours, known, POLICY
    )
    return Engine(features, scores, verdicts)


@pytest.mark.parametrize("timeframe", BARS)
def test_the_markets_go_through_every_status_and_verdict(timeframe: str) -> None:
    engine = market(timeframe)[1]

    assert set(engine.features["status"].tolist()) == set(range(len(STATUSES)))
    assert set(engine.verdicts["verdict"].tolist()) == set(range(len(VERDICTS)))


@settings(max_examples=40, deadline=None)
@given(MARKETS, st.floats(0, 1), st.integers(1, 60))
def test_any_hours_from_the_least_history_are_the_same_bytes(timeframe: str, place: float, count: int) -> None:
    candles, engine = market(timeframe)
    every = hours_of(candles)
    first = int(place * (len(every) - 1))
    chosen = slice(first, min(first + count, len(every)))

    found = from_least_history(candles, engine, every[chosen])

    for rows, whole in zip(found, engine, strict=True):
        assert_same(rows, take(whole, chosen))


@settings(max_examples=15, deadline=None)
@given(MARKETS, st.floats(0.3, 1))
def test_what_comes_later_changes_nothing(timeframe: str, place: float) -> None:
    candles, engine = market(timeframe)
    every = hours_of(candles)
    count = max(1, int(place * len(every)))
    known = candles.closed_by(int(every[count - 1]) + HOUR_MS)

    for rows, whole in zip(run(known, every[:count]), engine, strict=True):
        assert_same(rows, take(whole, slice(0, count)))


@settings(max_examples=10, deadline=None)
@given(MARKETS, st.floats(0.5, 1), st.integers(0, 2**32 - 1))
def test_another_future_changes_nothing(timeframe: str, place: float, seed: int) -> None:
    candles, engine = market(timeframe)
    every = hours_of(candles)
    count = max(1, int(place * len(every)))
    at = int(np.searchsorted(candles.close_time_ms, every[count - 1] + HOUR_MS, side="right"))
    factor = np.random.default_rng(seed).uniform(0.2, 5.0)
    columns = {name: getattr(candles, name).copy() for name in ("open", "high", "low", "close")}
    for column in columns.values():
        column[at:] = np.maximum(1, column[at:] * factor).astype(np.int64)
    other = Candles(candles.market, candles.price_scale, candles.open_time_ms, **columns, volume=candles.volume)

    for rows, whole in zip(run(other, every), engine, strict=True):
        assert_same(take(rows, slice(0, count)), take(whole, slice(0, count)))


@pytest.mark.parametrize("timeframe", BARS)
def test_hour_by_hour_is_the_whole_range(timeframe: str) -> None:
    candles, engine = market(timeframe)
    every = hours_of(candles)

    for row in range(len(every) - 30, len(every)):
        found = from_least_history(candles, engine, every[row : row + 1])
        for rows, whole in zip(found, engine, strict=True):
            assert_same(rows, take(whole, slice(row, row + 1)))


@pytest.mark.parametrize("timeframe", ["1h", "2h", "4h"])
def test_one_bar_less_than_the_look_back_is_too_little(timeframe: str) -> None:
    """With as many absent bars as are tolerated the window reaches back as far as it can."""
    absent = POLICY.candle_regime.holes.tolerated(POLICY.features.window_bars)
    candles = walk(400, 51, Market("HOLED-USDT", timeframe))[np.delete(np.arange(400), np.arange(300, 300 + absent))]
    hour, present = hours_of(candles)[-1:], feature_lookback_bars(POLICY) - absent

    exact, short = (compute_features(candles[slice(-bars, None)], hour, POLICY) for bars in (present, present - 1))

    assert exact["absent_bars"].tolist() == [absent]
    assert_same(exact, compute_features(candles, hour, POLICY))
    assert short["status"][0] != exact["status"][0]


def test_a_real_market_is_the_same_from_any_start_and_as_the_naive_version(shared_data: Path) -> None:
    candles = real_hours(shared_data / "hourly-cut/ETHUSDT_1h_shared-epochs.csv.gz")
    every = hours_of(candles)
    engine = run(candles, every)
    chosen = np.flatnonzero(engine.verdicts["verdict"] > 0)[::611]

    assert set(engine.verdicts["verdict"].tolist()) == set(range(len(VERDICTS)))
    for row in chosen:
        found = from_least_history(candles, engine, every[row : row + 1])
        for rows, whole in zip(found, engine, strict=True):
            assert_same(rows, take(whole, slice(row, row + 1)))
        bar = int(np.searchsorted(candles.open_time_ms, every[row]))
        for name, value in naive_features(candles, bar, POLICY).items():
            assert float(engine.features[name][row]) == pytest.approx(float(value), rel=1e-8, abs=1e-12, nan_ok=True)


def real_hours(path: Path) -> Candles:
    """Hourly candles of an exchange, with its holes."""
    frame = pd.read_csv(path).drop_duplicates("date").sort_values("date")
    times = pd.to_datetime(frame["date"], utc=True).astype("datetime64[ms, UTC]").astype(np.int64).to_numpy()
    prices = [frame[name].to_numpy() for name in ("open", "high", "low", "close")]
    return Candles.from_prices(Market("ETH-USDT", "1h"), 100, times, prices, frame["volume"].to_numpy())
