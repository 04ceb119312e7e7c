"""The starting values of a symbol's first grid: edges around a price, levels that earn their fees, the policy's costs.

The owner may change every field. See `versions` for making a version of it.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np

from regime_pipeline.domain.grids.config import GridConfigError
from regime_pipeline.domain.grids.config_rules import MIN_LEVELS, from_ticks
from regime_pipeline.domain.market_data.market import parse_symbol
from regime_pipeline.domain.scoring.grid_capacity import grid_capacity
from regime_pipeline.policy import Policy
from regime_pipeline.policy.grids import GridDefaults


def defaults_for(symbol: str, price: Decimal, tick: Decimal, policy: Policy) -> dict[str, Any]:
    """Return the fields of a symbol's first grid, disabled, for `versions.new_version`.

    Parameters
    ----------
    symbol : str
        Any spelling that `market.parse_symbol` reads.
    price, tick : Decimal
        Price now and price step, quote currency, above zero.
    policy : Policy
        Section `grids` (defaults of the symbol), and the costs of `grid_capacity`.

    Returns
    -------
    dict of str to Any
        Edges on whole ticks around the price; as many levels as the defaults ask for and the range can carry net of
        fees; every field but those that the history keeps.

    Raises
    ------
    GridConfigError
        The price or the tick is not above zero, or fewer than two levels fit.
    """
    if price <= 0 or tick <= 0:
        raise GridConfigError([f"price = {price}, tick = {tick}: must be above 0"])
    name, costs = parse_symbol(symbol), policy.grid_capacity
    start = policy.grids.symbol_defaults.get(name, policy.grids.defaults)
    edges = _edges(price, tick, start)
    levels = min(start.levels, _most_levels(edges[0], edges[1], tick, policy))
    if levels < MIN_LEVELS:
        fault = (
            f"tick = {tick:f}, price = {price:f}: {levels} levels fit into {start.half_width_pct:g} % to each side "
            f"net of fees; must be at least {MIN_LEVELS}"
        )
        raise GridConfigError([fault], "Widen half_width_pct of this symbol in the policy.")
    return {
        "symbol": name,
        "enabled": False,
        "tick": tick,
        "lower": edges[0],
        "upper": edges[1],
        "limit_lower": edges[2] or None,
        "limit_upper": edges[3],
        "levels": levels,
        "spacing": start.spacing,
        "min_notional": costs.min_notional_quote,
        "allocation_quote": costs.capital_quote,
        "maker_fee_bps": costs.fee_bps,
        "taker_fee_bps": costs.fee_bps,
    }


def _edges(price: Decimal, tick: Decimal, start: GridDefaults) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Edges rounded towards the price, limits rounded away from it; lower, upper, lower limit, upper limit."""
    ticks = Fraction(price) / Fraction(tick)
    width = Fraction(str(start.half_width_pct)) / 100
    reach = width + Fraction(str(start.limit_distance_pct)) / 100
    inner, outer = (ceil(ticks * (1 - width)), floor(ticks * (1 + width))), floor(ticks * (1 - reach))
    lower, upper, limit_lower, limit_upper = (
        from_ticks(count, tick) for count in (*inner, outer, ceil(ticks * (1 + reach)))
    )
    return lower, upper, limit_lower, limit_upper


def _most_levels(lower: Decimal, upper: Decimal, tick: Decimal, policy: Policy) -> int:
    """Levels that fit between the edges net of the policy's costs."""
    low, high, step = (np.array([float(value)]) for value in (lower, upper, tick))
    return max(int(grid_capacity(low, high, step, policy.grid_capacity).levels[0]), 0)
