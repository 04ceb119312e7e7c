"""Defects of the tool that asked for this project, one test each, so that none of them comes back.

The numbers are those of the list in the research notes; open candles, atomic writes and failed files have their tests
with the source, the warehouse and the import.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.candle_regimes.indicators import compute_indicators
from regime_pipeline.domain.candle_regimes.periods import periods, transitions
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES, SIMPLIFIED_OF_STATE
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate, simulate_null
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.policy import CandleRegimePolicy
from regime_pipeline_tests.domain.candle_regimes.factories import without
from regime_pipeline_tests.domain.verdicts.factories import NULLS, POLICY

CANDLES = POLICY.candle_regime
HOURLY = Market("DEFECT-USDT", "1h")
SIMPLE = np.array([state.simplified_regime for state in REGIME_STATES])


def test_defect_1_adx_is_wilders_so_noise_looks_like_a_trend_on_two_bars_in_five_not_71_percent() -> None:
    found = [compute_indicators(simulate_null(HOURLY, 9_000, seed), CANDLES).adx for seed in range(60, 68)]

    share = np.mean(np.concatenate(found)[200:] >= 25.0)

    assert share == pytest.approx(0.44, abs=0.04)


def test_defect_2_warm_up_is_undefined_and_insufficient_never_a_range() -> None:
    young = simulate(HOURLY, 160, 5).candles

    assert set(SIMPLE[classify(young, CANDLES).state]) == {"UNDEFINED"}
    verdicts = analyze(young, young.open_time_ms, POLICY, NULLS).verdicts
    assert not verdicts["verdict"].any()
    assert not verdicts["confidence"].any()


NOT_OF_WHOLE_SERIES = ("min_history_bars", "holes")
"""History is asked of the first bars alone; holes have tests of their own (`domain/market_data/test_holes.py`)."""


@pytest.mark.parametrize("name", [n for n in CandleRegimePolicy.model_fields if n not in NOT_OF_WHOLE_SERIES])
def test_defect_3_every_threshold_changes_some_label_or_confidence(name: str) -> None:
    candles = simulate(HOURLY, 3_000, 8).candles
    value = getattr(CANDLES, name)
    other = CANDLES.model_copy(update={name: type(value)(value * 0.8)})

    before, after = classify(candles, CANDLES), classify(candles, other)

    if name.startswith("anchor_"):  # where the recursion starts cold: the last bits of an indicator, no label
        np.testing.assert_array_equal(before.state, after.state)
        np.testing.assert_allclose(before.confidence, after.confidence, atol=1e-3)
        return
    assert (before.state != after.state).any() or (before.confidence != after.confidence).any()


def test_defect_4_a_clean_range_is_as_confident_as_a_clean_trend() -> None:
    """By ADX alone a range got .40 at best, so that asking for confidence > .7 brought the worst ranges."""
    candles = simulate(HOURLY, 9_000, 12, "easy").candles
    found = classify(candles, CANDLES)
    best = {name: np.quantile(found.confidence[SIMPLE[found.state] == name], 0.9) for name in ("RANGE", "TREND_UP")}

    assert best["RANGE"] > 0.5
    assert best["RANGE"] > 0.8 * best["TREND_UP"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_defect_8_no_time_depends_on_the_zone_of_the_host(zone: str) -> None:
    code = (
        "from regime_pipeline.domain.market_data.window import to_iso, to_ms\n"
        "ms = to_ms('2020-03-12T10:00:00+02:00'); print(ms, to_iso(ms))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["1584000000000", "2020-03-12T08:00:00Z"]


@pytest.mark.parametrize("timeframe", ["1h", "4h", "1d"])
def test_defect_10_transitions_follow_bars_of_any_length_and_never_cross_a_gap(timeframe: str) -> None:
    whole = simulate(HOURLY.on(timeframe), 2_400, 3).candles
    broken = without(whole, 1_500, 3)

    for candles, gaps in ((whole, 0), (broken, 1)):
        found = classify(candles, CANDLES)
        regime = SIMPLIFIED_OF_STATE[found.state]
        touching = np.diff(candles.open_time_ms) == candles.market.step_ms
        by_hand = np.zeros((6, 6), dtype=np.int64)
        np.add.at(by_hand, (regime[:-1][touching], regime[1:][touching]), 1)
        np.fill_diagonal(by_hand, 0)
        np.testing.assert_array_equal(transitions(periods(found, candles.market)), by_hand)
        assert np.count_nonzero(~touching) == gaps


def test_defect_11_a_bar_has_one_label_wherever_the_query_starts() -> None:
    candles = simulate(HOURLY, 3_000, 4).candles
    whole = classify(candles, CANDLES)

    for start in (1, 100, 777):
        later = classify(candles[start:], CANDLES)
        np.testing.assert_array_equal(later.state[1_024:], whole.state[start + 1_024 :])


def test_defect_12_verdicts_change_an_order_less_often_than_candle_labels() -> None:
    """Sixteen to twenty-two label changes per true one, without any hysteresis."""
    simulated = simulate(HOURLY, 6_000, 9)
    candles = simulated.candles
    verdicts = analyze(candles, candles.open_time_ms[700:], POLICY, NULLS).verdicts["verdict"]
    labels = SIMPLIFIED_OF_STATE[classify(candles, CANDLES).state][700:]
    true = np.count_nonzero(np.diff(simulated.labels[700:]))

    assert np.count_nonzero(np.diff(verdicts)) / true < 6.0
    assert np.count_nonzero(np.diff(labels)) > 3 * np.count_nonzero(np.diff(verdicts))
