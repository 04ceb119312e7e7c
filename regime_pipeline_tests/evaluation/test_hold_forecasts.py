"""Tests of `evaluation.hold_forecasts`: outcomes by the plain definition, and no outcome across a hole."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.evaluation.hold_forecasts import Forecasts, discovered_ranges, drawn_bands
from regime_pipeline.policy import default_policy
from regime_pipeline_tests.domain.hold.factories import simulated


def outcome(candles: Candles, bands: Forecasts, at: int) -> bool | None:
    """Whether a band held, one close after the other; None where a close is absent."""
    closes = dict(zip(candles.close_time_ms.tolist(), candles.prices("close").tolist(), strict=True))
    step = int(bands.step_hours[at])
    times = int(bands.hour[at]) + HOUR_MS + HOUR_MS * np.arange(step, int(bands.ahead[at]) + 1, step)
    later = [closes.get(int(t)) for t in times]
    if None in later:
        return None
    return all(bands.lower[at] < price < bands.upper[at] for price in later if price is not None)


@pytest.mark.parametrize(("timeframe", "every"), [("1h", 3), ("2h", 4), ("4h", 4)])
def test_a_band_held_if_every_later_close_was_inside(timeframe: str, every: int) -> None:
    candles = simulated(1_500, timeframe)
    candles = candles[np.r_[0:1_000, 1_004:1_500]]

    bands = drawn_bands(candles, np.random.default_rng(1), every, (12, 72))

    assert len(bands) > 400
    assert [outcome(candles, bands, at) for at in range(len(bands))] == bands.held.tolist()
    assert 0.2 < bands.held.mean() < 0.9
    assert ((bands.lower < bands.close) & (bands.close < bands.upper)).all()


def test_the_same_seed_draws_the_same_bands_and_another_does_not() -> None:
    candles = simulated(900)

    first, again, other = (drawn_bands(candles, np.random.default_rng(seed), 6) for seed in (1, 1, 2))

    assert first.lower.tolist() == again.lower.tolist()
    assert first.lower.tolist() != other.lower.tolist()


def test_discovered_ranges_hold_the_close_they_were_found_at() -> None:
    candles = simulated(1_200)

    bands = discovered_ranges(candles, default_policy(), (24, 72))

    assert set(bands.ahead.tolist()) == {24, 72}
    assert ((bands.lower < bands.close) & (bands.close < bands.upper)).all()
    assert [outcome(candles, bands, at) for at in range(0, len(bands), 50)] == bands.held[::50].tolist()
