"""Properties 39.2 and 39.3: when a probationary grid has proved itself, and what stops it at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.grids.graduation import ProbationRecord, graduation, has_graduated
from regime_pipeline.domain.grids.quick_stops import GridHealth, quick_stops
from regime_pipeline_tests.domain.grids.factories import POLICY, grid

GOOD = ProbationRecord(bars=24, range_ok_share=0.8, round_trips=2, excursion_spacings=0.99, net_quote=0.0)
CALM = GridHealth(
    closes=(100.0, 100.0),
    atr=2.0,
    vol_change_score=70.0,
    trend_score=69.99,
    base_shares=(0.5,) * 12,
    drawdown_quote=0.0,
    data_age_bars=2,
)
CONFIG = grid()


def fired(**change: Any) -> list[str]:
    return [made.name for made in quick_stops(CONFIG, replace(CALM, **change), POLICY) if made.is_met]


@given(
    st.integers(0, 60),
    st.floats(0, 1),
    st.integers(0, 5),
    st.floats(0, 3, allow_nan=False),
    st.floats(-10, 10, allow_nan=False),
)
@settings(max_examples=150, deadline=None)
def test_property_39_2_a_grid_graduates_exactly_when_every_criterion_is_met(
    bars: int, share: float, trips: int, excursion: float, net: float
) -> None:
    checks = graduation(ProbationRecord(bars, share, trips, excursion, net), POLICY.grids.graduation)

    assert [made.is_met for made in checks] == [
        bars >= 24,
        share >= 0.8,
        trips >= 2,
        excursion < 1.0,
        net >= 0.0,
    ]
    assert has_graduated(checks) == all(made.is_met for made in checks)


@pytest.mark.parametrize(
    ("change", "criterion", "value"),
    [
        ({"bars": 23}, "BARS", 23),
        ({"range_ok_share": 0.79}, "RANGE_OK_SHARE", 0.79),
        ({"round_trips": 1}, "ROUND_TRIPS", 1),
        ({"excursion_spacings": 1.0}, "EXCURSION", 1.0),
        ({"net_quote": -0.01}, "NET", -0.01),
    ],
)
def test_property_39_2_each_criterion_alone_holds_a_grid_back(
    change: dict[str, Any], criterion: str, value: float
) -> None:
    assert has_graduated(graduation(GOOD, POLICY.grids.graduation))

    checks = graduation(replace(GOOD, **change), POLICY.grids.graduation)

    (failed,) = [made for made in checks if not made.is_met]
    assert (failed.name, failed.value) == (criterion, value)
    assert not has_graduated(checks)
    assert f"{failed.value:.6g} (" in failed.sentence


@pytest.mark.parametrize(
    ("change", "trigger"),
    [
        ({"closes": (100.0, 89.0)}, "BEYOND_EDGE"),
        ({"closes": (100.0, 111.0)}, "BEYOND_EDGE"),
        ({"closes": (110.01, 89.99)}, "CLOSES_OUTSIDE"),
        ({"vol_change_score": 70.01}, "VOL_CHANGE"),
        ({"trend_score": 70.0}, "TREND"),
        ({"base_shares": (0.5,) + (0.81,) * 12}, "ONE_SIDED"),
        ({"base_shares": (0.19,) * 12}, "ONE_SIDED"),
        ({"drawdown_quote": 30.01}, "DRAWDOWN"),
        ({"data_age_bars": 3}, "STALE_DATA"),
    ],
)
def test_property_39_3_each_trigger_alone_stops_the_grid(change: dict[str, Any], trigger: str) -> None:
    assert fired(**change) == [trigger]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"closes": (100.0, 89.01)},
        {"closes": (89.9, 90.0)},
        {"closes": (89.9, 100.0, 110.1)},
        {"base_shares": (0.81,) * 11},
        {"base_shares": (0.81,) * 6 + (0.19,) * 6},
        {"closes": (110.1, 110.0)},
        {"closes": (110.0, 110.0)},
        {"closes": (90.0, 90.0)},
        {"base_shares": (0.8,) * 12},
        {"base_shares": (0.2,) * 12},
        {"base_shares": (0.81,) * 11 + (0.8,)},
        {"base_shares": ()},
        {"drawdown_quote": 30.0},
        {"vol_change_score": float("nan"), "trend_score": float("nan")},
    ],
)
def test_property_39_3_nothing_stops_at_or_before_a_threshold(change: dict[str, Any]) -> None:
    assert fired(**change) == []


@given(
    st.lists(st.floats(80, 120), min_size=1, max_size=4),
    st.floats(0.05, 10),
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(0, 200),
    st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_property_39_3_triggers_name_value_and_threshold(
    closes: list[float], atr: float, vol_change: float, trend: float, drawdown: float, age: int
) -> None:
    health = GridHealth(closes, atr, vol_change, trend, (0.5,), drawdown, age)

    made = {found.name: found for found in quick_stops(CONFIG, health, POLICY)}

    outside = [not 90 <= close <= 110 for close in reversed(closes)]
    assert made["BEYOND_EDGE"].is_met == (closes[-1] <= 90 - 0.5 * atr or closes[-1] >= 110 + 0.5 * atr) or (
        abs(made["BEYOND_EDGE"].value - 0.5) < 1e-9
    )
    assert made["CLOSES_OUTSIDE"].is_met == (len(outside) >= 2 and outside[0] and outside[1])
    assert made["VOL_CHANGE"].is_met == (vol_change > 70)
    assert made["TREND"].is_met == (trend >= 70)
    assert made["DRAWDOWN"].is_met == (drawdown > 1.5 * 2 / 100 * 1000)
    assert made["STALE_DATA"].is_met == (age > 2)
    assert (made["VOL_CHANGE"].value, made["TREND"].threshold, made["DRAWDOWN"].threshold) == (vol_change, 70.0, 30.0)
    assert (
        "volatility change score: unknown (above 70)."
        in quick_stops(CONFIG, replace(health, vol_change_score=float("nan")), POLICY)[2].sentence
    )


def test_property_39_3_an_atr_below_a_tick_counts_as_a_tick() -> None:
    assert fired(closes=(100.0, 110.0), atr=0.0) == []
    assert fired(closes=(100.0, 110.01), atr=0.0) == ["BEYOND_EDGE"]
