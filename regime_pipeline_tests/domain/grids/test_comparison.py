"""Properties 42 and 43: a configured grid beside the discovered range."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.grids.comparison import capacity_policy, compare, overlap
from regime_pipeline.domain.scoring.grid_capacity import grid_capacity
from regime_pipeline_tests.domain.grids.factories import POLICY, grid

EDGES = st.tuples(st.integers(1, 400), st.integers(1, 400)).filter(lambda edge: edge[0] != edge[1]).map(sorted)
P = POLICY.grid_capacity


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@given(EDGES, EDGES)
@settings(max_examples=100, deadline=None)
def test_property_42_overlap_is_the_share_of_price_steps_in_both(one: list[int], other: list[int]) -> None:
    inside = [set(range(low, high)) for low, high in (one, other)]
    exact = Fraction(len(inside[0] & inside[1]), len(inside[0] | inside[1]))

    assert float(overlap(array(one[0]), array(one[1]), *map(float, other))[0]) == pytest.approx(float(exact), abs=1e-15)
    assert (
        overlap(array(other[0]), array(other[1]), *map(float, one)).tolist()
        == overlap(array(one[0]), array(one[1]), *map(float, other)).tolist()
    )


@given(st.floats(50, 150), st.floats(0.01, 60), st.floats(0.001, 20))
@settings(max_examples=60, deadline=None)
def test_property_42_offsets_lead_from_the_configured_to_the_discovered_edges(
    low: float, width: float, atr: float
) -> None:
    found = compare(grid(), array(low), array(low + width), array(atr), P)

    scale = max(atr, 0.01)
    assert 90 + found.lower_offset_atr[0] * scale == pytest.approx(low)
    assert 110 + found.upper_offset_atr[0] * scale == pytest.approx(low + width)


def test_property_42_the_same_range_has_full_overlap_and_no_offset() -> None:
    found = compare(grid(), array(90, 110, 95), array(110, 130, 105), array(2, 2, 2), P)

    assert found.iou.tolist() == [1.0, 0.0, 0.5]
    assert found.lower_offset_atr.tolist() == [0.0, 10.0, 2.5]
    assert found.upper_offset_atr.tolist() == [0.0, 10.0, -2.5]


def test_property_42_without_a_discovered_range_there_is_no_comparison() -> None:
    found = compare(grid(), array(np.nan), array(np.nan), array(2), P)

    assert np.isnan([found.iou[0], found.lower_offset_atr[0], found.upper_offset_atr[0]]).all()
    assert found.now.levels.tolist() == [0]
    assert found.then.levels.tolist() == [P.full_levels]


@given(st.floats(50, 150), st.floats(1.0005, 1.5), st.integers(0, 60), st.integers(50, 5_000), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_property_43_capacity_now_and_then_are_at_the_grids_own_costs(
    low: float, ratio: float, fee: int, capital: int, notional: int
) -> None:
    config = grid(maker_fee_bps=fee, allocation_quote=capital, min_notional=notional)
    costs = P.model_copy(
        update={"fee_bps": float(fee), "capital_quote": float(capital), "min_notional_quote": float(notional)}
    )

    found = compare(config, array(low), array(low * ratio), array(1), P)

    now = grid_capacity(array(low), array(low * ratio), array(0.01), costs)
    then = grid_capacity(array(90), array(110), array(0.01), costs)
    assert capacity_policy(config, P) == costs
    for got, expected in ((found.now, now), (found.then, then)):
        assert got.levels.tolist() == expected.levels.tolist()
        assert got.score.tolist() == expected.score.tolist()
        np.testing.assert_array_equal(got.net_gain_bps, expected.net_gain_bps)


def test_property_43_capacity_falls_with_the_grids_fees_and_capital() -> None:
    def levels(**update: int) -> int:
        return int(compare(grid(**update), array(100), array(104), array(1), P).now.levels[0])

    assert levels(maker_fee_bps=0) > levels(maker_fee_bps=30) > levels(maker_fee_bps=80)
    assert levels(allocation_quote=50, maker_fee_bps=0) == 9
