"""Simulated regimes and the null: reproducible, labelled as meant, sound candles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import (
    DEFAULT_START_MS,
    HOURLY_SIGMA,
    LABELS,
    RANGE,
    STRENGTHS,
    TREND_DOWN,
    TREND_UP,
    VOLATILE,
    Difficulty,
    balancing_probability,
    simulate,
    simulate_null,
)

MARKET = Market("SIM-USDT", "1h")


def log_returns(candles: Candles) -> np.ndarray:
    return np.log(candles.prices("close") / candles.prices("open"))


def kurtosis(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 4).mean() / values.var() ** 2)


def spread(values: np.ndarray) -> float:
    return float(np.median(abs(values - np.median(values))))


def same(left: Candles, right: Candles) -> bool:
    return all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in COLUMNS)


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    assert same(simulate(MARKET, 500, 3).candles, simulate(MARKET, 500, 3).candles)
    assert not same(simulate(MARKET, 500, 3).candles, simulate(MARKET, 500, 4).candles)
    assert same(simulate_null(MARKET, 500, 3), simulate_null(MARKET, 500, 3))
    assert not same(simulate_null(MARKET, 500, 3), simulate_null(MARKET, 500, 4))


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_labels_mean_what_the_strengths_say(difficulty: Difficulty) -> None:
    strength = STRENGTHS[difficulty]
    simulation = simulate(MARKET, 60_000, 11, difficulty)
    returns, labels = log_returns(simulation.candles), simulation.labels
    drift = {code: returns[labels == code].mean() / HOURLY_SIGMA for code in range(len(LABELS))}
    assert drift[TREND_UP] == pytest.approx(strength.trend_drift_sigmas, abs=0.03)
    assert drift[TREND_DOWN] == pytest.approx(-strength.trend_drift_sigmas, abs=0.03)
    assert abs(drift[RANGE]) < 0.03
    assert abs(drift[VOLATILE]) < 0.08
    ratio = spread(returns[labels == VOLATILE]) / spread(returns[labels == TREND_UP])
    assert ratio == pytest.approx(strength.volatile_multiplier, rel=0.1)


def test_shares_and_lengths_of_spells() -> None:
    labels = simulate(MARKET, 200_000, 5).labels
    classes = np.where(labels == TREND_DOWN, TREND_UP, labels)
    shares = np.bincount(classes, minlength=4)[[RANGE, TREND_UP, VOLATILE]] / len(classes)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.04)
    edges = np.flatnonzero(np.diff(classes))
    assert np.diff(edges).mean() == pytest.approx(STRENGTHS["medium"].spell_bars, rel=0.06)
    assert np.diff(edges).min() >= 20


def test_a_range_reverts_to_where_it_began_with_its_half_life() -> None:
    simulation = simulate(MARKET, 200_000, 7)
    log_close = np.log(simulation.candles.prices("close"))
    starts = np.flatnonzero(np.diff(simulation.labels, prepend=-1))
    center = np.log(simulation.candles.prices("open"))[starts][np.searchsorted(starts, np.arange(200_000), "right") - 1]
    inside = (simulation.labels[1:] == RANGE) & (simulation.labels[:-1] == RANGE)
    distance = (log_close - center)[:-1][inside]
    slope = float(distance @ np.diff(log_close)[inside] / (distance @ distance))
    assert -np.log(2) / np.log1p(slope) == pytest.approx(8.0, rel=0.08)


def test_prices_stay_near_their_start_however_long_the_market() -> None:
    closes = simulate(MARKET, 200_000, 5).candles.prices("close")
    assert closes.min() > 5
    assert closes.max() < 200_000


def test_the_null_has_fat_tails_no_drift_and_an_unbiased_rogers_satchell_variance() -> None:
    candles = simulate_null(MARKET, 100_000, 2)
    returns = log_returns(candles)
    assert returns.std() == pytest.approx(HOURLY_SIGMA, rel=0.05)
    assert kurtosis(returns) > 5
    assert abs(returns.mean()) < 4 * HOURLY_SIGMA / np.sqrt(len(returns))
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.02
    assert np.corrcoef(abs(returns[1:]), abs(returns[:-1]))[0, 1] > 0.03
    o, h, low, c = (np.log(candles.prices(name)) for name in ("open", "high", "low", "close"))
    assert ((h - o) * (h - c) + (low - o) * (low - c)).mean() == pytest.approx(returns.var(), rel=0.05)


@given(st.integers(0, 2**31), st.integers(1, 300), st.sampled_from(["1m", "15m", "1h", "4h", "1d"]))
@settings(max_examples=30)
def test_any_seed_and_timeframe_gives_sound_candles_without_a_gap(seed: int, bars: int, timeframe: str) -> None:
    market = Market("SIM-USDT", timeframe)
    for candles in (simulate(market, bars, seed).candles, simulate_null(market, bars, seed)):
        assert len(candles) == bars
        assert candles.market == market
        assert candles.open_time_ms[0] == DEFAULT_START_MS
        assert (np.diff(candles.open_time_ms) == market.step_ms).all()
        assert candles.open[1:].tolist() == candles.close[:-1].tolist()


@given(st.floats(-5, 5))
def test_trends_turn_against_their_sum(net: float) -> None:
    assert balancing_probability(net) == pytest.approx(1 - balancing_probability(-net))
    assert (balancing_probability(net) < 0.5) == (net > 0) or net == 0 or abs(net) < 1e-15
