"""How many grid levels fit into a range, and what limits them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.scoring.grid_capacity import carries_grid, grid_capacity
from regime_pipeline_tests.domain.verdicts.factories import POLICY

P = POLICY.grid_capacity


def capacity(low: float, high: float, tick: float = 0.01, **update: float) -> tuple[int, float, float]:
    found = grid_capacity(*(np.array([value]) for value in (low, high, tick)), P.model_copy(update=update))
    return int(found.levels[0]), float(found.net_gain_bps[0]), float(found.score[0])


def test_levels_that_just_fit_earn_the_least_gain() -> None:
    spacing = (1 + (P.min_gain_bps + P.slippage_bps) / 1e4) / (1 - P.fee_bps / 1e4) ** 2
    fitting, too_narrow = (
        capacity(1_000, 1_000 * spacing**6 * (1 + 1e-12)),
        capacity(1_000, 1_000 * spacing**6 * 0.9999),
    )

    assert fitting[:2] == (6, pytest.approx(P.min_gain_bps, abs=1e-6))
    assert too_narrow[0] == 5
    assert fitting[2] == pytest.approx(100 * 3 / 9 * 0.5)


def test_a_wide_range_is_limited_by_what_helps_and_by_capital() -> None:
    assert capacity(1_000, 1_500)[0] == P.full_levels
    assert capacity(1_000, 1_500)[2] == 100.0
    assert capacity(1_000, 1_500, capital_quote=40.0)[0] == 7  # 40 / (1.05 x 5)


def test_a_coarse_tick_limits_the_spacing() -> None:
    assert capacity(1_000, 1_100)[0] == P.full_levels
    assert capacity(1_000, 1_100, tick=20.0)[0] == 4  # ln 1.1 / ln 1.02


@pytest.mark.parametrize(("low", "high"), [(np.nan, np.nan), (1_000.0, 1_000.5)])
def test_without_room_nothing_fits(low: float, high: float) -> None:
    levels, gain, score = capacity(low, high)

    assert (levels, score) == (0, 0.0)
    assert np.isnan(gain)


def test_without_fees_any_gain_is_full() -> None:
    assert capacity(1_000, 1_500, fee_bps=0.0)[2] == 100.0


@given(st.floats(1.0001, 3.0), st.floats(1.0001, 3.0))
def test_a_wider_range_never_carries_less(first: float, second: float) -> None:
    narrow, wide = sorted((first, second))

    assert capacity(100, 100 * narrow)[0] <= capacity(100, 100 * wide)[0]


@pytest.mark.parametrize(
    ("levels", "gain", "carries"),
    [(4, 10.0, True), (3, 10.0, False), (4, 9.99, False), (0, np.nan, False), (12, 50.0, True)],
)
def test_a_grid_needs_enough_levels_and_enough_gain(levels: int, gain: float, carries: bool) -> None:
    assert carries_grid(np.array([float(levels)]), np.array([gain]), P).tolist() == [carries]
