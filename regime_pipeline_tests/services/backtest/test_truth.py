"""Tests of `services.backtest.truth`: labels only where the simulator made the very prices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.simulation.market import EPOCH_MS, MarketSimulation
from regime_pipeline.domain.simulation.regimes import LABELS
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES
from regime_pipeline.services.backtest.labels import true_classes
from regime_pipeline_tests.factories import hours_from_start
from regime_pipeline_tests.services.backtest.factories import ALFA, SEED, candles_of

WINDOW = hours_from_start(0, 300)


@pytest.mark.parametrize("timeframe", ["15m", "1h", "4h"])
def test_the_simulators_own_labels(timeframe: str) -> None:
    market = ALFA.on(timeframe)
    hours = WINDOW.hours[::3]

    found = true_classes(candles_of(market, WINDOW), hours, SEED)

    labels = MarketSimulation(SEED, ALFA.symbol, 100).labels(WINDOW.start_ms, WINDOW.end_ms)[::3]
    assert found is not None
    assert [CLASSES[code] for code in found] == [LABELS[code].partition("_")[0] for code in labels]


def test_no_name_makes_a_market_simulated() -> None:
    candles = candles_of(ALFA, WINDOW)
    last = candles.high.copy()
    last[-1] += 1

    assert true_classes(candles, WINDOW.hours, SEED) is not None
    assert true_classes(candles, WINDOW.hours, SEED + 1) is None
    assert true_classes(replace(candles, high=last), WINDOW.hours, SEED) is None
    assert true_classes(replace(candles, market=Market("OTHER-USDT", "1h")), WINDOW.hours, SEED) is None


def test_candles_with_holes_are_still_the_simulators() -> None:
    candles = candles_of(ALFA, WINDOW)
    kept = candles[np.arange(len(candles)) % 7 != 3]

    assert true_classes(kept, WINDOW.hours, SEED) is not None


def test_a_bar_that_the_simulator_never_had_is_not_its_own() -> None:
    early = candles_of(ALFA, Window(EPOCH_MS, EPOCH_MS + 50 * HOUR_MS))
    before = replace(early, open_time_ms=early.open_time_ms - 50 * HOUR_MS)

    assert true_classes(before, before.open_time_ms, SEED) is None


def test_nothing_stored_has_no_truth() -> None:
    candles = candles_of(ALFA, WINDOW)

    assert true_classes(Candles.empty(ALFA, 100), WINDOW.hours, SEED) is None
    assert true_classes(candles, np.empty(0, dtype=np.int64), SEED) is None


def test_hours_before_the_listing_abstain() -> None:
    window = Window(EPOCH_MS, EPOCH_MS + 50 * HOUR_MS)
    hours = np.arange(EPOCH_MS - 3 * HOUR_MS, window.end_ms, HOUR_MS, dtype=np.int64)

    found = true_classes(candles_of(ALFA, window), hours, SEED)

    assert found is not None
    assert found[:3].tolist() == [ABSTAIN] * 3
    assert ABSTAIN not in found[3:].tolist()
