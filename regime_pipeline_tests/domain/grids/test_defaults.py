"""Property 46: every symbol has defaults that are sound at any price it can trade at."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.grids.config import GridConfig, GridConfigError
from regime_pipeline.domain.grids.defaults import defaults_for
from regime_pipeline_tests.domain.grids.factories import KEPT, POLICY

SYMBOLS = st.sampled_from(["ETHUSDT", "BTC-USDT", "SHIB/USDC"])


@given(SYMBOLS, st.integers(200, 10**9), st.sampled_from(["0.00000001", "0.0005", "0.01", "5"]), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_property_46_defaults_make_a_sound_grid_around_the_price(
    symbol: str, ticks: int, tick: str, part: float
) -> None:
    price = (ticks + Decimal(str(round(part, 3)))) * Decimal(tick)

    fields = defaults_for(symbol, price, Decimal(tick), POLICY)
    config = GridConfig(**(fields | KEPT))

    start = POLICY.grids.symbol_defaults.get(config.symbol, POLICY.grids.defaults)
    share, one = Decimal(str(start.half_width_pct)) / 100, config.tick
    assert 0 <= config.lower - price * (1 - share) < one
    assert 0 <= price * (1 + share) - config.upper < one
    assert config.limit_lower is not None
    assert config.limit_upper is not None
    assert config.limit_lower < config.lower < price < config.upper < config.limit_upper
    assert 2 <= config.levels <= start.levels
    assert min(config.net_gains_bps) > 0
    assert config.enabled is False


def test_property_46_a_symbol_may_have_its_own() -> None:
    btc, other = (defaults_for(name, Decimal(1000), Decimal("0.01"), POLICY) for name in ("BTC-USDT", "ETH-USDT"))

    assert (btc["lower"], btc["upper"]) == (Decimal(950), Decimal(1050))
    assert (other["lower"], other["upper"]) == (Decimal(920), Decimal(1080))


def test_property_46_levels_shrink_to_what_the_tick_allows() -> None:
    assert defaults_for("X-USDT", Decimal(100), Decimal(2), POLICY)["levels"] == 7
    assert defaults_for("X-USDT", Decimal(10), Decimal("0.25"), POLICY)["levels"] == 5
    with pytest.raises(GridConfigError, match="0 levels fit .* must be at least 2"):
        defaults_for("X-USDT", Decimal(10), Decimal(4), POLICY)


def test_property_46_no_lower_limit_below_the_first_tick() -> None:
    wide = POLICY.grids.defaults.model_copy(update={"half_width_pct": 50.0, "limit_distance_pct": 49.0})
    policy = POLICY.model_copy(update={"grids": POLICY.grids.model_copy(update={"defaults": wide})})

    assert defaults_for("X-USDT", Decimal(10), Decimal(1), policy)["limit_lower"] is None


@pytest.mark.parametrize(("price", "tick"), [("0", "1"), ("1", "0"), ("-1", "1")])
def test_property_46_a_price_is_above_zero(price: str, tick: str) -> None:
    with pytest.raises(GridConfigError, match="must be above 0"):
        defaults_for("X-USDT", Decimal(price), Decimal(tick), POLICY)
