"""Properties 39.1, 67 and 68: the first grid after a restart, from what happened since the stop and nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.candle_regimes.indicators import compute_indicators
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.probation import Probation, fresh_range, probationary_grid
from regime_pipeline.domain.grids.versions import new_version
from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.policy import Policy
from regime_pipeline_tests.domain.grids.factories import POLICY, START, START_MS, bars, grid, history_of

P = POLICY.grids.probation
CLOSED_MS = 10**6 * HOUR_MS


def swing(count: int, seed: int, height: int = 400, middle: int = 10_000, spread: int = 60) -> Candles:
    """Bars that swing around a price, with noise; prices in hundredths."""
    rng = np.random.default_rng(seed)
    wave = height * np.sin(np.arange(count) * 2 * np.pi / rng.integers(8, 20))
    close = np.rint(middle + wave + rng.normal(0, height / 8, count)).astype(np.int64)
    opens = np.concatenate([close[:1], close[:-1]])
    return bars(
        np.column_stack([opens, np.maximum(opens, close) + spread, np.minimum(opens, close) - spread, close]).tolist()
    )


def probation(candles: Candles, stop: int = 0, policy: Policy = POLICY, **update: Any) -> Probation:
    config = grid(**({"tick": "0.01", "maker_fee_bps": "5"} | update))
    return probationary_grid(candles, START_MS + stop * HOUR_MS, config, policy)


def names(found: Probation) -> list[str]:
    return [made.name for made in found.checks]


SCENES = st.builds(swing, st.integers(30, 130), st.integers(0, 10**6), st.integers(150, 2_000))


@given(SCENES, st.integers(20, 3_000))
@settings(max_examples=60, deadline=None)
def test_property_39_1_allocation_levels_and_spacing_are_in_the_seeds_ranges(candles: Candles, capital: int) -> None:
    found = probation(candles, allocation_quote=capital, min_notional="1")

    if found.grid is None:
        assert not found.checks[-1].is_met
        return
    assert 0.5 <= float(found.grid.allocation_quote) / capital <= 0.6
    assert 4 <= found.grid.levels <= 6
    assert 0.45 <= found.grid.spacing_quote / found.grid.atr_quote <= 0.55
    width = float(found.grid.upper - found.grid.lower)
    assert width == pytest.approx(found.grid.levels * found.grid.spacing_quote)
    assert found.range.low <= float(found.grid.lower) < float(found.grid.upper) <= found.range.high
    assert float(found.grid.allocation_quote) >= found.grid.levels * 1.05


def test_property_39_1_the_defaults_are_55_percent_5_levels_and_half_an_atr() -> None:
    found = probation(swing(80, 1, 1_500))

    assert found.grid is not None
    assert (found.grid.allocation_quote, found.grid.levels) == (Decimal(550), 5)
    assert found.grid.spacing_quote == pytest.approx(found.grid.atr_quote / 2, abs=0.005)
    assert all(made.is_met for made in found.checks)
    middle = float(found.grid.lower + found.grid.upper) / 2
    inside = min(max(found.range.close, found.range.low + found.grid.spacing_quote * 2.5), found.range.high)
    assert abs(middle - inside) <= found.grid.spacing_quote * 2.5


@given(SCENES, st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_property_39_1_every_level_earns_the_least_gain_or_there_is_no_grid(candles: Candles, fee: int) -> None:
    found = probation(candles, maker_fee_bps=fee)

    if found.grid is not None:
        history = new_version(
            history_of({"maker_fee_bps": fee}),
            found.grid.update(),
            expected_version=1,
            who="me",
            when=START.replace(year=2027),
            why="restart",
        )
        costs = POLICY.grid_capacity
        assert min(history[-1].net_gains_bps) >= costs.min_gain_bps + costs.slippage_bps - 1e-6


def test_property_39_1_a_spacing_the_fees_push_beyond_its_range_means_no_grid() -> None:
    candles = swing(80, 1)
    cheap, dear = probation(candles, maker_fee_bps="5"), probation(candles, maker_fee_bps="80")

    assert cheap.grid is not None
    assert (dear.grid, names(dear)[-1]) == (None, "SPACING_MAX")
    assert dear.checks[-1].value > dear.checks[-1].threshold


def test_property_39_1_a_fee_minimum_inside_the_range_raises_the_spacing() -> None:
    candles = swing(80, 1)
    atr = probation(candles).range.atr
    ratios = {
        fee: found.grid.spacing_quote / atr
        for fee in range(5, 90)
        if (found := probation(candles, maker_fee_bps=fee)).grid is not None
    }

    assert min(ratios.values()) == pytest.approx(0.5, abs=0.01)
    assert 0.505 < max(ratios.values()) <= 0.55
    assert list(ratios.values()) == sorted(ratios.values())


@pytest.mark.parametrize(
    ("candles", "update", "failed"),
    [
        (swing(23, 1), {}, "POST_STOP_BARS"),
        (swing(60, 1).closed_by(0), {}, "POST_STOP_BARS"),
        (swing(60, 1), {"tick": "0.9", "upper": "117", "limit_lower": None, "limit_upper": None}, "SPACING_MIN"),
        (swing(80, 1, 60, 10_000, 300), {"maker_fee_bps": "0"}, "WIDTH"),
        (swing(80, 1), {"allocation_quote": "35", "levels": 4}, "CAPITAL"),
    ],
)
def test_property_68_a_refused_restart_says_which_check_failed(
    candles: Candles, update: dict[str, Any], failed: str
) -> None:
    found = probation(candles, **update)

    assert found.grid is None
    assert names(found)[-1] == failed
    assert [made.is_met for made in found.checks] == [True] * (len(found.checks) - 1) + [False]
    assert f"{found.checks[-1].threshold:.6g}" in found.checks[-1].sentence


def test_property_68_without_agreement_of_the_methods_there_is_no_grid() -> None:
    strict = POLICY.model_copy(update={"ranges": POLICY.ranges.model_copy(update={"min_agreement": 1.0})})

    found = probation(swing(80, 1), policy=strict)

    assert (found.grid, names(found)) == (None, ["POST_STOP_BARS", "CONSENSUS"])
    assert [made.is_met for made in found.checks] == [True, False]


def test_property_68_a_granted_restart_shows_every_check() -> None:
    assert names(probation(swing(80, 1))) == [
        *("POST_STOP_BARS", "CONSENSUS", "SPACING_MAX", "SPACING_MIN", "WIDTH", "CAPITAL")
    ]


def test_property_39_1_levels_shrink_to_what_range_and_capital_allow() -> None:
    narrow = [probation(swing(80, seed, 150, 10_000, 60)) for seed in range(40)]
    poor = probation(swing(80, 1), allocation_quote="50", min_notional="5", levels=4)
    fewer = probation(swing(80, 1), allocation_quote="40", min_notional="5", levels=4)

    assert {found.grid.levels for found in narrow if found.grid} == {4, 5}
    assert poor.grid is not None
    assert poor.grid.levels == 5  # 27.5 / 5.25
    assert fewer.grid is not None
    assert fewer.grid.levels == 4  # 22 / 5.25


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(5, 200), st.integers(30, 80))
@settings(max_examples=40, deadline=None)
def test_property_67_what_happened_before_the_stop_changes_nothing(
    one: int, other: int, before: int, after: int
) -> None:
    pasts = [swing(before, seed, 3_000, 12_000 + seed % 9 * 900) for seed in (one, other)]
    since = swing(after, one)
    shift = before * HOUR_MS
    later = Candles(
        since.market, 100, since.open_time_ms + shift, since.open, since.high, since.low, since.close, since.volume
    )

    alone, *joined = (
        probationary_grid(candles, START_MS + shift, config, POLICY)
        for candles, config in (
            (later, grid()),
            (concatenate([pasts[0], later]), grid()),
            (
                concatenate([pasts[1], later]),
                grid(lower="40", upper="60", limit_lower=None, levels=3, spacing="geometric"),
            ),
        )
    )

    assert [found.grid for found in joined] == [alone.grid] * 2
    assert [found.checks for found in joined] == [alone.checks] * 2
    assert repr([found.range for found in joined]) == repr([alone.range] * 2)


def test_property_67_the_bar_opened_at_the_stop_counts_and_the_one_before_does_not() -> None:
    candles = swing(60, 1)

    assert fresh_range(candles, START_MS + 20 * HOUR_MS, POLICY).bars == 40
    assert fresh_range(candles, START_MS + 20 * HOUR_MS + 1, POLICY).bars == 39
    tolerated, too_long = (candles[np.delete(np.arange(60), np.arange(26 - absent, 26))] for absent in (1, 9))
    assert fresh_range(tolerated, START_MS, POLICY).bars == 59
    assert fresh_range(too_long, START_MS, POLICY).bars == 34


def test_a_fresh_range_needs_just_the_bars_that_the_policy_names() -> None:
    least = P.min_post_stop_bars
    for count in (least - 1, least):
        found = fresh_range(swing(count, 1), START_MS, POLICY)
        assert (found.bars, bool(np.isfinite(found.low))) == (count, count == least)


@pytest.mark.parametrize(("seed", "is_central"), [(1, True), (7, True), (2, False), (8, False)])
def test_a_grid_narrower_than_the_range_lies_around_the_price_or_at_an_edge(seed: int, is_central: bool) -> None:
    candles = swing(60, seed, height=1_500)
    fresh, found = fresh_range(candles, START_MS, POLICY), probation(candles)

    assert found.grid is not None
    lower, upper = float(found.grid.lower), float(found.grid.upper)
    assert upper - lower < 0.6 * (fresh.high - fresh.low)
    if is_central:
        assert (lower + upper) / 2 == pytest.approx(fresh.close, abs=0.01)
    else:
        assert lower == pytest.approx(fresh.low, abs=0.01) or upper == pytest.approx(fresh.high, abs=0.01)


def test_a_fresh_range_bears_no_more_holes_than_any_other_window() -> None:
    """5 % of its bars, 2 of 58, and none of the newest two."""
    whole = swing(60, 1)
    for absent, has_range in (([10, 20], True), ([10, 20, 30], False), ([57], True), ([58], False)):
        found = fresh_range(whole[np.delete(np.arange(60), absent)], START_MS, POLICY)
        assert np.isfinite([found.low, found.high, found.atr, found.close]).all() == has_range, absent
        assert found.bars == 60 - len(absent)


def test_property_67_range_atr_and_price_are_those_of_the_bars_since() -> None:
    candles = swing(60, 1)
    found = fresh_range(candles, START_MS, POLICY)

    assert found.atr == compute_indicators(candles, POLICY.candle_regime).atr[-1] / 100
    assert found.close == candles.prices("close")[-1]
    inside = (candles.prices("close") >= found.low) & (candles.prices("close") <= found.high)
    assert inside.mean() > 0.6


def test_property_67_a_fresh_grid_replaces_prices_levels_and_limits_of_the_old() -> None:
    found = probation(swing(80, 1))
    assert found.grid is not None
    history = history_of({"enabled": False})

    fresh: GridConfig = new_version(
        history, found.grid.update(), expected_version=1, who="gates", when=START.replace(year=2027), why="restart"
    )[-1]

    assert (fresh.enabled, fresh.spacing, fresh.limit_lower, fresh.limit_upper) == (True, "arithmetic", None, None)
    assert (fresh.lower, fresh.upper, fresh.levels) == (found.grid.lower, found.grid.upper, found.grid.levels)
    assert fresh.lines[1] - fresh.lines[0] == pytest.approx(Decimal(str(found.grid.spacing_quote)))
