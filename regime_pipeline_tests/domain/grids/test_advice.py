"""Properties 49 to 53: what is advised on a configured grid, and how it is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.factors import Factor
from regime_pipeline.domain.grids.comparison import compare
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.domain.grids.factories import POLICY, grid
from regime_pipeline_tests.domain.grids.one_hour import Advice, advise

P = POLICY.grids
DANGER = st.sampled_from(["TREND", "TRANSITION"])
VERDICT = st.sampled_from(VERDICTS)
CLOSES = st.lists(st.one_of(st.floats(80, 120), st.sampled_from([90.0, 110.0, 84.99, 85.0, 115.0, 115.01])), max_size=4)
RANGES = st.one_of(st.none(), st.tuples(st.floats(60, 100), st.floats(101, 140)))
AGES = st.lists(st.integers(0, 60), max_size=3)
FAR = (110.0, 130.0)


def advice(
    verdict: str,
    closes: list[float] | None = None,
    found: tuple[float, float] | None = (90.0, 110.0),
    ages: list[int] | None = None,
    gate_state: str = "NONE",
    **update: Any,
) -> Advice:
    config: GridConfig = grid(**update)
    low, high = found or (np.nan, np.nan)
    row = {"verdict": VERDICTS.index(verdict), "range_low": low, "range_high": high}
    comparison = compare(config, np.array([low]), np.array([high]), np.array([2.0]), POLICY.grid_capacity)
    return advise(config, row, comparison, [100.0, 100.0] if closes is None else closes, ages or [], POLICY, gate_state)


def reason(given_advice: Advice, rule: str) -> Factor:
    (found,) = [entry for entry in given_advice.reasons if entry.rule == rule]
    return found


@given(st.booleans(), VERDICT, CLOSES, RANGES, AGES)
@settings(max_examples=150, deadline=None)
def test_property_49_advice_considers_and_carries_enabled(
    enabled: bool, verdict: str, closes: list[float], found: tuple[float, float] | None, ages: list[int]
) -> None:
    got = advice(verdict, closes, found, ages, enabled=enabled)

    allowed = {"STOP_PLACING", "REPOSITION", "KEEP", "NONE"} if enabled else {"ENABLE", "NONE"}
    assert got.enabled is enabled
    assert got.action in allowed
    is_outside = enabled and bool(closes) and not 90 <= closes[-1] <= 110
    is_unknown = verdict == "INSUFFICIENT_DATA" and not is_outside
    assert (got.action == "NONE") == (is_unknown or (not enabled and verdict != "RANGE_OK"))
    assert got.is_actionable == (got.action in {"ENABLE", "STOP_PLACING", "REPOSITION"} or is_outside)
    assert got.reasons[0].inputs == {"enabled": enabled, "verdict": verdict, "action": got.action}
    assert got.status == ("OUTSIDE" if is_outside else "NO_VERDICT" if is_unknown else "OK")


@given(VERDICT, CLOSES, RANGES, AGES)
@settings(max_examples=150, deadline=None)
def test_property_52_a_price_outside_an_enabled_grid_is_never_a_calm_keep(
    verdict: str, closes: list[float], found: tuple[float, float] | None, ages: list[int]
) -> None:
    got = advice(verdict, [*closes, 112.0], found, ages)

    assert (got.status, got.is_actionable) == ("OUTSIDE", True)
    is_left = len(closes) >= 1 and not 90 <= closes[-1] <= 110
    expected = {"REPOSITION", "STOP_PLACING"} if is_left or verdict in {"TREND", "TRANSITION"} else {"KEEP"}
    assert got.action in expected
    assert "outside the enabled grid" in got.reasons[0].sentence


@given(CLOSES, RANGES, AGES)
@settings(max_examples=60, deadline=None)
def test_property_50_a_disabled_grid_in_a_good_range_is_to_be_enabled(
    closes: list[float], found: tuple[float, float] | None, ages: list[int]
) -> None:
    got = advice("RANGE_OK", closes, found, ages, enabled=False)

    assert (got.action, got.is_actionable) == ("ENABLE", True)


@pytest.mark.parametrize("state", GATE_STATES)
def test_a_stop_whose_gates_do_not_permit_a_restart_withholds_enabling_and_nothing_else(state: str) -> None:
    is_blocked = state not in ("NONE", "PERMITTED")

    got = advice("RANGE_OK", enabled=False, gate_state=state)

    assert (got.action, got.is_actionable) == (("NONE", False) if is_blocked else ("ENABLE", True))
    assert reason(got, "RESTART_GATES").outcome == ("not met" if is_blocked else "met")
    assert advice("TREND", gate_state=state).action == "STOP_PLACING"


@given(DANGER, CLOSES, RANGES, AGES)
@settings(max_examples=60, deadline=None)
def test_property_51_a_disabled_grid_in_danger_is_for_information(
    verdict: str, closes: list[float], found: tuple[float, float] | None, ages: list[int]
) -> None:
    got = advice(verdict, closes, found, ages, enabled=False)

    assert (got.action, got.is_actionable, got.status) == ("NONE", False, "OK")
    assert "for information" in got.reasons[0].sentence


@given(DANGER, CLOSES, RANGES, AGES)
@settings(max_examples=60, deadline=None)
def test_property_51_an_enabled_grid_in_danger_stops_placing_and_is_never_moved(
    verdict: str, closes: list[float], found: tuple[float, float] | None, ages: list[int]
) -> None:
    got = advice(verdict, closes, found, ages)

    assert (got.action, got.is_actionable) == ("STOP_PLACING", True)
    assert (got.proposed_lower, got.proposed_upper) == (None, None)


@given(st.booleans(), CLOSES, RANGES, AGES)
@settings(max_examples=60, deadline=None)
def test_property_51_the_verdict_never_decides_on_the_inventory(
    enabled: bool, closes: list[float], found: tuple[float, float] | None, ages: list[int]
) -> None:
    said = {advice(verdict, closes, found, ages, enabled=enabled).inventory for verdict in VERDICTS}

    newest = closes[-1] if closes else None
    expected = "NONE" if newest is None else "KEEP" if 85 <= newest <= 115 else "CLOSE_AT_LIMIT"
    assert said == {expected}


def test_property_51_without_limits_what_was_bought_is_always_kept() -> None:
    for closes in ([1.0], [1e9]):
        got = advice("TREND", closes, limit_lower=None, limit_upper=None)

        assert got.inventory == "KEEP"
        assert "a verdict alone never closes it" in reason(got, "INVENTORY").sentence
        assert reason(got, "INVENTORY").threshold == {"limit_lower": None, "limit_upper": None}


@given(CLOSES)
@settings(max_examples=100, deadline=None)
def test_property_52_price_outside_the_bounds_is_detected(closes: list[float]) -> None:
    bounds = reason(advice("RANGE_OK", closes), "BOUNDS")

    newest = [not 90 <= close <= 110 for close in closes[::-1][:2]]
    outside = 0 if not newest or not newest[0] else sum(newest)
    assert bounds.inputs["closes_outside"] == outside
    assert bounds.outcome == ("met" if outside == 2 else "not met")


def test_property_52_a_close_on_an_edge_is_inside() -> None:
    assert reason(advice("RANGE_OK", [90.0, 110.0]), "BOUNDS").inputs["closes_outside"] == 0
    assert reason(advice("RANGE_OK", [89.99, 110.01]), "BOUNDS").inputs["closes_outside"] == 2


@given(
    st.sampled_from([True, True, True, False]),
    st.sampled_from(["RANGE_OK"] * 4 + list(VERDICTS)),
    st.lists(st.sampled_from([85.0, 89.99, 90.0, 110.0, 110.01, 112.0]), min_size=1, max_size=3),
    st.sampled_from([None, FAR, (60.0, 85.0), (95.0, 115.0), (95.01, 115.01), (101.0, 130.0), (94.9, 114.9)]),
    st.lists(st.sampled_from([0, 23, 24, 25]), max_size=2),
)
@settings(max_examples=300, deadline=None)
def test_property_53_reposition_exactly_when_all_its_conditions_hold(
    enabled: bool, verdict: str, closes: list[float], found: tuple[float, float] | None, ages: list[int]
) -> None:
    got = advice(verdict, closes, found, ages, enabled=enabled)

    outside = len(closes) >= 2 and all(close < 90 or close > 110 for close in closes[-2:])
    iou = 1.0
    if found:
        shared = max(0.0, min(found[1], 110) - max(found[0], 90))
        iou = shared / (found[1] - found[0] + 20 - shared)
    is_due = all(age >= 24 for age in ages)
    expected = enabled and verdict == "RANGE_OK" and outside and iou < 0.6 and is_due
    assert (got.action == "REPOSITION") == expected


def test_property_53_a_reposition_says_where_to_and_why() -> None:
    got = advice("RANGE_OK", [110.5, 112.0], (110.004, 130.006), [24])

    assert (got.action, got.is_actionable) == ("REPOSITION", True)
    assert (got.proposed_lower, got.proposed_upper) == (110.01, 130.0)
    assert reason(got, "NEW_RANGE").inputs == {"iou": 0.0, "range_low": 110.004, "range_high": 130.006}
    assert [entry.outcome for entry in got.reasons] == ["decided", "met", "met", "met", "not met", "met"]
    assert "2 closes in a row are outside 90 to 110, the newest at 112" in reason(got, "BOUNDS").sentence


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"closes": [100.0, 112.0]}, "BOUNDS"),
        ({"closes": [112.0]}, "BOUNDS"),
        ({"found": (91.0, 111.0)}, "NEW_RANGE"),
        ({"found": None}, "NEW_RANGE"),
        ({"ages": [23]}, "REPOSITION_GAP"),
        ({"ages": [60, 3]}, "REPOSITION_GAP"),
    ],
)
def test_property_53_one_missing_condition_does_not_move_the_grid(change: dict[str, Any], rule: str) -> None:
    got = advice("RANGE_OK", **({"closes": [112.0, 112.0], "found": FAR, "ages": [30]} | change))

    action = "KEEP" if rule == "BOUNDS" else "STOP_PLACING"
    assert (got.status, got.action, got.is_actionable, got.proposed_lower) == ("OUTSIDE", action, True, None)
    assert reason(got, rule).outcome == "not met"


def test_property_50_enabling_proposes_edges_only_where_the_range_moved() -> None:
    assert advice("RANGE_OK", enabled=False).proposed_lower is None
    assert advice("RANGE_OK", found=FAR, enabled=False).proposed_lower == 110.0


def test_a_weak_range_keeps_the_grid_unless_the_price_has_left_it() -> None:
    assert advice("RANGE_WEAK", [100.0, 100.0], FAR).action == "KEEP"
    assert advice("RANGE_WEAK", [112.0, 112.0], FAR).action == "STOP_PLACING"
    assert P.reposition_gap_bars == 24
    assert P.outside_closes == 2
    assert P.reposition_iou_below == 0.6
