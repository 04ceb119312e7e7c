"""Simulated minutes of a market: any span agrees with the whole, texture, ticks and labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.domain.simulation.market import CHUNK_MS, EPOCH_MS, MarketSimulation
from regime_pipeline.domain.simulation.regimes import LABELS, RANGE, TREND_DOWN, TREND_UP, VOLATILE

START = to_ms("2024-03-01T00:00:00Z")
DAY_MS = 24 * HOUR_MS


@pytest.fixture(scope="module")
def simulation() -> MarketSimulation:
    return MarketSimulation(7, "ALFA-USDT", 100)


def same(left: Candles, right: Candles) -> bool:
    return all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in COLUMNS)


@given(
    first=st.integers(-10 * DAY_MS, 60 * DAY_MS),
    length=st.integers(0, 40 * DAY_MS),
    timeframe=st.sampled_from(["1m", "15m", "1h", "4h", "1d"]),
)
@settings(max_examples=25, deadline=None)
def test_any_span_agrees_with_the_whole(simulation: MarketSimulation, first: int, length: int, timeframe: str) -> None:
    whole = simulation.bars(timeframe, START - 20 * DAY_MS, START + 110 * DAY_MS)
    part = MarketSimulation(7, "ALFA-USDT", 100).bars(timeframe, START + first, START + first + length)
    assert same(part, whole.between(START + first, START + first + length))


def test_longer_bars_are_the_minutes_resampled(simulation: MarketSimulation) -> None:
    minutes = simulation.bars("1m", START, START + 40 * DAY_MS)
    for timeframe in ("15m", "1h", "4h", "1d"):
        assert same(simulation.bars(timeframe, START, START + 40 * DAY_MS), resample(minutes, timeframe))


def test_seeds_and_symbols_give_markets_of_their_own() -> None:
    first = MarketSimulation(7, "ALFA-USDT", 100).bars("1h", START, START + 5 * DAY_MS)
    for seed, symbol in ((8, "ALFA-USDT"), (7, "BRAVO-USDT")):
        other = MarketSimulation(seed, symbol, 100).bars("1h", START, START + 5 * DAY_MS)
        assert other.close.tolist() != first.close.tolist()


def test_ticks_follow_the_price_scale() -> None:
    coarse = MarketSimulation(7, "ALFA-USDT", 10).bars("1h", START, START + DAY_MS)
    fine = MarketSimulation(7, "ALFA-USDT", 10_000).bars("1h", START, START + DAY_MS)
    assert coarse.price_scale == 10
    np.testing.assert_allclose(coarse.prices("close"), fine.prices("close"), atol=0.051)


def test_nothing_exists_before_the_listing(simulation: MarketSimulation) -> None:
    assert len(simulation.bars("1m", EPOCH_MS - DAY_MS, EPOCH_MS)) == 0
    assert len(simulation.labels(EPOCH_MS - DAY_MS, EPOCH_MS)) == 0
    assert len(simulation.labels(EPOCH_MS - DAY_MS, EPOCH_MS + DAY_MS)) == 24
    assert simulation.bars("1h", EPOCH_MS - DAY_MS, EPOCH_MS + DAY_MS).open_time_ms[0] == EPOCH_MS


def test_minutes_have_the_texture_of_a_market(simulation: MarketSimulation) -> None:
    minutes = simulation.bars("1m", START, START + 112 * DAY_MS)
    absent = 112 * 1_440 - len(minutes)
    assert 0 < absent < 1_000
    idle = minutes.volume == 0
    assert 20 < idle.sum() < 200
    assert (minutes.high[idle] == minutes.low[idle]).all()
    returns = np.log(minutes.prices("close") / minutes.prices("open"))
    assert ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2 > 6
    assert np.corrcoef(np.log(minutes.volume[~idle]), np.log(abs(returns[~idle]) + 1e-6))[0, 1] > 0.3
    hour = minutes.open_time_ms // HOUR_MS % 24
    assert abs(returns[hour == 15]).mean() > 1.3 * abs(returns[hour == 3]).mean()
    assert (minutes.open_time_ms % MINUTE_MS == 0).all()


def test_labels_are_the_regimes_of_the_hours(simulation: MarketSimulation) -> None:
    end = START + 3 * 365 * DAY_MS
    labels = simulation.labels(START, end)
    assert len(labels) == 3 * 365 * 24
    part = simulation.labels(START + 5 * HOUR_MS - 1, START + 9 * HOUR_MS + 1)
    assert part.tolist() == labels[5:10].tolist()
    bars = simulation.bars("1h", START, end)
    returns = np.log(bars.prices("close") / bars.prices("open"))
    of_bar = labels[(bars.open_time_ms - START) // HOUR_MS]
    calm = returns[of_bar == RANGE].std()
    drift = [returns[of_bar == code].mean() / calm for code in range(len(LABELS))]
    assert drift[TREND_UP] == pytest.approx(0.35, abs=0.08)
    assert drift[TREND_DOWN] == pytest.approx(-0.35, abs=0.08)
    assert abs(drift[RANGE]) < 0.03
    assert returns[of_bar == VOLATILE].std() / calm == pytest.approx(2.5, rel=0.2)
    classes = np.where(labels == TREND_DOWN, TREND_UP, labels)
    assert all(0.2 < (classes == code).mean() < 0.47 for code in (RANGE, TREND_UP, VOLATILE))
    assert 110 < np.diff(np.flatnonzero(np.diff(labels))).mean() < 190


def test_a_chunk_begins_where_the_one_before_it_ended(simulation: MarketSimulation) -> None:
    edge = EPOCH_MS + 90 * CHUNK_MS
    before, after = simulation.bars("1m", edge - DAY_MS, edge), simulation.bars("1m", edge, edge + DAY_MS)
    assert abs(int(before.close[-1]) - int(after.open[0])) <= 1


def test_prices_stay_within_a_factor_of_their_home_over_ten_years(simulation: MarketSimulation) -> None:
    closes = simulation.bars("1d", EPOCH_MS, EPOCH_MS + 10 * 365 * DAY_MS).prices("close")
    assert closes.max() / closes.min() < 40
