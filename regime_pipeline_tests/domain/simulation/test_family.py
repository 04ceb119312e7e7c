"""The family of simulated markets: reproducible on every machine, labels, gaps and switches."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.family import _mixed, draw_member, simulate_member
from regime_pipeline.domain.simulation.foreign import draw_foreign, simulate_foreign
from regime_pipeline.domain.simulation.regimes import RANGE, TREND_DOWN, TREND_UP, VOLATILE

MARKET = Market("SIM-USDT", "1h")
GENERATORS = [simulate_member, simulate_foreign]


def digest(candles: Candles) -> str:
    return hashlib.sha256(b"".join(getattr(candles, name).astype("<i8").tobytes() for name in COLUMNS[:5])).hexdigest()


@pytest.mark.parametrize("generate", GENERATORS)
def test_the_same_seed_gives_the_same_market_and_another_seed_another(generate) -> None:  # type: ignore[no-untyped-def]
    assert digest(generate(MARKET, 500, 3).candles) == digest(generate(MARKET, 500, 3).candles)
    assert digest(generate(MARKET, 500, 3).candles) != digest(generate(MARKET, 500, 4).candles)


@pytest.mark.parametrize(
    ("generate", "expected"), [(simulate_member, "4c3d3d3d638d9baf"), (simulate_foreign, "7ee0051a41ecd250")]
)
def test_the_candles_are_those_of_every_other_machine(generate, expected: str) -> None:  # type: ignore[no-untyped-def]
    assert digest(generate(MARKET, 2_000, 12).candles)[:16] == expected


def test_members_differ_within_their_ranges() -> None:
    members = [draw_member(seed) for seed in range(200)]

    assert min(m.half_life_bars for m in members) < 5 < 18 < max(m.half_life_bars for m in members)
    assert min(m.trend_drift_sigmas for m in members) < 0.17 < 0.5 < max(m.trend_drift_sigmas for m in members)
    assert all(1.6 <= m.volatile_multiplier <= 4.0 and 3.0 <= m.degrees <= 12.0 for m in members)
    assert 0.35 < np.mean([m.jumps_per_bar > 0 for m in members]) < 0.65
    assert {m.mixed_bars for m in members} == set(range(13))


@pytest.mark.parametrize("generate", GENERATORS)
def test_labels_mean_what_they_say(generate) -> None:  # type: ignore[no-untyped-def]
    """Over many members: trends drift their way, ranges and volatile spells do not, volatile bars move most."""
    drift, size = np.zeros(4), np.zeros(4)
    for seed in range(20):
        made = generate(MARKET, 4_000, seed)
        returns = np.diff(np.log(made.candles.prices("close")))
        returns /= returns.std()
        for code in (RANGE, TREND_UP, TREND_DOWN, VOLATILE):
            drift[code] += returns[made.labels[1:] == code].mean() / 20
            size[code] += np.abs(returns[made.labels[1:] == code]).mean() / 20

    assert drift[TREND_UP] > 0.1
    assert drift[TREND_DOWN] < -0.1
    assert abs(drift[RANGE]) < 0.02
    assert abs(drift[VOLATILE]) < 0.06
    assert size[VOLATILE] > 1.3 * size[RANGE]


def test_gaps_leave_out_bars_with_their_labels() -> None:
    whole, holed = simulate_member(MARKET, 4_000, 9), simulate_member(MARKET, 4_000, 9, has_gaps=True)
    is_kept = np.isin(whole.candles.open_time_ms, holed.candles.open_time_ms)

    assert 0 < (~is_kept).sum() < 60
    assert digest(whole.candles[is_kept]) == digest(holed.candles)
    assert (whole.labels[is_kept] == holed.labels).all()


def test_bars_mix_after_a_switch_and_nowhere_else() -> None:
    is_start = np.zeros(10, dtype=np.bool_)
    is_start[[0, 4]] = True
    values = np.array([1.0] * 4 + [5.0] * 6)

    assert _mixed(values, is_start, 3).tolist() == [1.0] * 4 + [2.0, 3.0, 4.0] + [5.0] * 3
    assert _mixed(values, is_start, 0).tolist() == values.tolist()


def test_foreign_spells_are_exponential() -> None:
    drawn = draw_foreign(1)
    labels = simulate_foreign(MARKET, 60_000, 1).labels
    starts = np.flatnonzero(np.diff(labels)) + 1
    lengths = np.diff(starts)[labels[starts[:-1]] == RANGE]

    assert lengths.mean() == pytest.approx(drawn.mean_bars[0], rel=0.2)
    assert lengths.std() == pytest.approx(lengths.mean(), rel=0.25)
