"""The verdict of a market does not depend on how many decimals its prices are kept with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.engine import Analysis, analyze
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline_tests.property.test_verdict_causality import real_hours

BARS = 1_500


def rescaled(candles: Candles, price_scale: int, factor: float = 1.0) -> Candles:
    """The same candles with other ticks, their prices times a factor."""
    prices = [factor * candles.prices(name) for name in ("open", "high", "low", "close")]
    return Candles.from_prices(candles.market, price_scale, candles.open_time_ms, prices, candles.volume)


def judged(candles: Candles) -> Analysis:
    return analyze(candles, candles.open_time_ms, default_policy(), default_null_table())


@pytest.mark.parametrize("symbol", ["BTC", "ETH"])
def test_a_real_market_has_the_same_verdicts_at_two_and_at_eight_decimals(shared_data: Path, symbol: str) -> None:
    candles = real_hours(shared_data / f"hourly-cut/{symbol}USDT_1h_shared-epochs.csv.gz")
    two, eight = judged(rescaled(candles, 100)), judged(rescaled(candles, 10**8))

    assert len(candles) > 10_000
    assert np.mean(two.verdicts["verdict"] == eight.verdicts["verdict"]) > 0.999
    np.testing.assert_allclose(two.features["profile_low"], eight.features["profile_low"], rtol=1e-9)


@pytest.mark.parametrize(("price", "price_scale"), [(70_000.0, 10**8), (4e12, 100)])
def test_large_prices_have_the_verdicts_of_the_same_market_at_a_thousand(price: float, price_scale: int) -> None:
    candles = simulate(Market("LARGE-USDT", "1h"), BARS, 5, "medium").candles
    small = judged(candles)
    large = judged(rescaled(candles, price_scale, price / 1_000.0))

    assert np.isfinite(large.features["profile_low"][-500:]).all()
    np.testing.assert_allclose(large.features["adx"], small.features["adx"], rtol=1e-6)
    assert np.mean(large.verdicts["verdict"] == small.verdicts["verdict"]) > 0.98
