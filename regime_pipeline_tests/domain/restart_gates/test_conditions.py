"""Properties 57, 60 and 63: every condition of the three gates, on both sides of its threshold, and unknown ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.grids.named_conditions import Condition
from regime_pipeline.domain.grids.probation import fresh_range
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.restart_gates.conditions import (
    MEASURED,
    GateBar,
    directional_energy,
    mean_reversion,
    tradable_range,
)
from regime_pipeline_tests.domain.restart_gates.factories import (
    MARKET,
    POLICY,
    grid_around,
    market,
    thresholds,
    with_gates,
)

GOOD = {
    "adx": 18.0, "adx_change": -1.0, "efficiency_ratio_short": 0.1, "bars_since_extreme": 9.0,
    "mean_rev_score": 70.0, "median_crossings": 8.0, "ou_half_life_bars": 5.0, "vol_log_ratio": 0.0,
    "p_range": 0.8, "p_trend": 0.1, "p_volatile": 0.1,
}  # fmt: skip
T = thresholds()
UP, DOWN = np.nextafter(25.0, 30), np.nextafter(25.0, 0)


def bar(**update: float) -> GateBar:
    return GateBar(HOUR_MS, {**GOOD, **update}, Candles.empty(MARKET, 100))


def met(checks: tuple[Condition, ...]) -> dict[str, bool]:
    return {made.name: made.is_met for made in checks}


def test_property_57_gate_one_evaluates_every_condition_with_its_numbers() -> None:
    checks = directional_energy(bar(), T)

    assert met(checks) == {"ADX_DECAY": True, "EFFICIENCY": True, "NO_NEW_EXTREME": True}
    assert [(made.value, made.threshold) for made in checks] == [(18.0, 25.0), (0.1, 0.3), (9.0, 6.0)]
    assert checks[0].sentence == "ADX, falling over 6 bars: 18 (below 25)."


NUMBER = st.one_of(
    st.just(float("nan")), st.floats(-5, 60), st.sampled_from([0.3, 20.0, 25.0, 6.0, 50.0, 4.0, 2.0, 12.0])
)
MEASURES = st.fixed_dictionaries(dict.fromkeys(MEASURED, NUMBER))


@given(MEASURES)
def test_property_57_gate_one_is_complete_and_right_whatever_is_measured(values: dict[str, float]) -> None:
    adx, change = values["adx"], values["adx_change"]
    expected = {
        "ADX_DECAY": (adx < 25 and change < 0) or adx < 20,
        "EFFICIENCY": values["efficiency_ratio_short"] < 0.3,
        "NO_NEW_EXTREME": values["bars_since_extreme"] >= 6,
    }

    assert met(directional_energy(bar(**values), T)) == expected


@given(MEASURES)
def test_property_60_gate_two_is_complete_and_right_whatever_is_measured(values: dict[str, float]) -> None:
    half_life = values["ou_half_life_bars"]
    expected = {
        "MEAN_REVERSION": values["mean_rev_score"] >= 50,
        "MEDIAN_CROSSINGS": values["median_crossings"] >= 4,
        "HALF_LIFE_MIN": half_life >= 2,
        "HALF_LIFE_MAX": half_life <= 12,
    }

    assert met(mean_reversion(bar(**values), T)) == expected


@pytest.mark.parametrize(
    ("adx", "change", "holds"),
    [(24.99, -0.1, True), (25.0, -0.1, False), (24.99, 0.0, False), (20.0, 0.0, False), (19.99, 3.0, True)],
)
def test_property_56_adx_must_be_falling_below_25_or_below_20(adx: float, change: float, holds: bool) -> None:
    decay, *_ = directional_energy(bar(adx=adx, adx_change=change), T)

    assert decay.is_met is holds
    assert decay.detail == ("falling over 6 bars" if change < 0 else "not falling over 6 bars")


@pytest.mark.parametrize(
    ("gate", "name", "condition", "inside", "outside"),
    [
        (directional_energy, "efficiency_ratio_short", "EFFICIENCY", 0.2999, 0.30),
        (directional_energy, "bars_since_extreme", "NO_NEW_EXTREME", 6.0, 5.0),
        (mean_reversion, "mean_rev_score", "MEAN_REVERSION", 50.0, 49.99),
        (mean_reversion, "median_crossings", "MEDIAN_CROSSINGS", 4.0, 3.0),
        (mean_reversion, "ou_half_life_bars", "HALF_LIFE_MIN", 2.0, 1.99),
        (mean_reversion, "ou_half_life_bars", "HALF_LIFE_MAX", 12.0, 12.01),
    ],
)
def test_property_60_each_condition_changes_at_its_threshold_and_alone(
    gate: Callable[..., tuple[Condition, ...]], name: str, condition: str, inside: float, outside: float
) -> None:
    assert all(met(gate(bar(**{name: inside}), T)).values())
    assert [found for found, holds in met(gate(bar(**{name: outside}), T)).items() if not holds] == [condition]
    assert met(gate(bar(**{name: float("nan")}), T))[condition] is False


def test_property_60_gate_two_evaluates_every_condition() -> None:
    assert met(mean_reversion(bar(), T)) == {
        "MEAN_REVERSION": True, "MEDIAN_CROSSINGS": True, "HALF_LIFE_MIN": True, "HALF_LIFE_MAX": True,
    }  # fmt: skip


HISTORY = market()
NOW = int(HISTORY.candles.close_time_ms[-1])
STOP = NOW - 200 * HOUR_MS
GRID = grid_around(HISTORY, STOP)


def last_bar(**update: float) -> GateBar:
    return GateBar(NOW, {**GOOD, **update}, HISTORY.candles)


def third(at: GateBar, stop_ms: int = STOP, **update: float) -> dict[str, Condition]:
    policy = with_gates(**update)
    return {made.name: made for made in tradable_range(at, stop_ms, GRID, policy, policy.gates.default)}


def test_property_63_gate_three_evaluates_every_condition_with_its_numbers() -> None:
    found = third(last_bar())
    fresh = fresh_range(HISTORY.candles, STOP, POLICY)

    assert list(found) == ["VOLATILITY", "FRESH_BARS", "FRESH_RANGE", "WIDTH_MIN", "WIDTH_MAX", "CAPACITY"]
    assert found["FRESH_BARS"].value == 200
    assert found["WIDTH_MIN"].value == pytest.approx((fresh.high - fresh.low) / fresh.atr)
    assert found["CAPACITY"].threshold == POLICY.grid_capacity.min_levels
    assert found["CAPACITY"].value > 0


def test_property_63_each_condition_of_gate_three_changes_at_its_threshold() -> None:
    width = third(last_bar())["WIDTH_MIN"].value

    assert third(last_bar(vol_log_ratio=log(1.2999)))["VOLATILITY"].is_met
    assert not third(last_bar(vol_log_ratio=log(1.3)))["VOLATILITY"].is_met or exp(log(1.3)) < 1.3
    assert not third(last_bar(vol_log_ratio=log(1.31)))["VOLATILITY"].is_met
    assert third(last_bar(), width_min_atr=width)["WIDTH_MIN"].is_met
    assert not third(last_bar(), width_min_atr=width * 1.0001)["WIDTH_MIN"].is_met
    assert third(last_bar(), width_max_atr=width)["WIDTH_MAX"].is_met
    assert not third(last_bar(), width_max_atr=width * 0.9999)["WIDTH_MAX"].is_met
    assert not third(last_bar(vol_log_ratio=float("nan")))["VOLATILITY"].is_met


@given(st.floats(-2, 2), st.integers(1, 400))
@settings(max_examples=25)
def test_property_63_gate_three_is_complete_and_right_whatever_the_stop(log_ratio: float, bars: int) -> None:
    stop = NOW - bars * HOUR_MS
    fresh = fresh_range(HISTORY.candles, stop, POLICY)
    width = (fresh.high - fresh.low) / fresh.atr

    found = {name: made.is_met for name, made in third(last_bar(vol_log_ratio=log_ratio), stop).items()}

    assert found.pop("CAPACITY") <= found["FRESH_RANGE"]
    assert found == {
        "VOLATILITY": exp(log_ratio) < 1.3,
        "FRESH_BARS": bars >= 24,
        "FRESH_RANGE": not np.isnan(fresh.low),
        "WIDTH_MIN": width >= 3,
        "WIDTH_MAX": width <= 12,
    }


@pytest.mark.parametrize(("bars", "has_range"), [(23, False), (24, True)])
def test_property_63_too_few_bars_since_the_stop_give_no_range(bars: int, has_range: bool) -> None:
    found = third(last_bar(), NOW - bars * HOUR_MS)

    assert found["FRESH_BARS"].is_met is has_range
    assert not np.isnan(found["WIDTH_MIN"].value) or not found["FRESH_RANGE"].is_met
    if not has_range:
        assert not any(found[name].is_met for name in ("FRESH_RANGE", "WIDTH_MIN", "WIDTH_MAX", "CAPACITY"))


def test_property_63_capacity_counts_the_grids_own_costs() -> None:
    dear = replace(last_bar())
    policy = with_gates()
    costly = grid_around(HISTORY, STOP, maker_fee_bps="100", taker_fee_bps="100", levels=2)
    checks = {made.name: made for made in tradable_range(dear, STOP, costly, policy, policy.gates.default)}

    assert (checks["CAPACITY"].value, checks["CAPACITY"].is_met) == (0.0, False)


@given(st.integers(2, 9), st.integers(24, 300))
@settings(max_examples=10)
def test_property_67_gate_three_reads_no_bar_from_before_the_stop(factor: int, bars: int) -> None:
    candles, stop = HISTORY.candles, NOW - bars * HOUR_MS
    before = candles.open_time_ms < stop
    other = replace(
        candles, high=np.where(before, candles.high * factor, candles.high), low=np.where(before, 1, candles.low)
    )

    assert repr(third(GateBar(NOW, GOOD, other), stop)) == repr(third(last_bar(), stop))  # NaN is not NaN


def test_property_74_no_confidence_is_among_what_is_measured() -> None:
    assert not [name for name in MEASURED if "confidence" in name]
