"""A grid in the words of other bots: Hummingbot's grid executor, 3Commas' grid bot, Freqtrade's strategy attributes.

What each field means there, and where the mapping is not exact, stands in docs/grids.md. Sending it is not done here.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any, Final

from regime_pipeline.domain.grids.config import GridConfig, GridConfigError

_LIMIT_MAKER: Final = 3
_BUY: Final = 1


def to_hummingbot(config: GridConfig, connector_name: str) -> dict[str, Any]:
    """Return the fields of a Hummingbot `GridExecutorConfig` (long).

    Notes
    -----
    Hummingbot opens at n evenly spaced prices from `start_price` to `end_price` and takes profit one step above each,
    n being the whole part of the relative range over `min_spread_between_orders`. So `end_price` is the highest line
    that buys, and the spread is chosen between the n-th and the (n+1)-th part: a count that rounding cannot change.
    Lines of a geometric grid become evenly spaced.

    Raises
    ------
    GridConfigError
        The grid has no `limit_lower`, which Hummingbot must have.
    """
    if config.limit_lower is None:
        raise GridConfigError(
            ["limit_lower = None: Hummingbot's limit_price must be a price below lower"], "Set limit_lower."
        )
    lines = config.lines
    with localcontext(prec=18):
        reach = (lines[-2] - lines[0]) / lines[0]
        spread = reach / (config.levels + Decimal("0.5"))
        profit = reach / (config.levels - 1)
    return {
        "type": "grid_executor",
        "connector_name": connector_name,
        "trading_pair": config.symbol,
        "side": _BUY,
        "start_price": lines[0],
        "end_price": lines[-2],
        "limit_price": config.limit_lower,
        "total_amount_quote": config.allocation_quote,
        "min_spread_between_orders": spread,
        "min_order_amount_quote": config.min_notional,
        "max_open_orders": config.levels,
        "leverage": 1,
        "keep_position": True,
        "triple_barrier_config": {
            "take_profit": profit,
            "open_order_type": _LIMIT_MAKER,
            "take_profit_order_type": _LIMIT_MAKER,
        },
    }


def to_threecommas(config: GridConfig) -> dict[str, Any]:
    """Return the fields of a 3Commas manual grid bot, its account aside; `quantity_per_grid` is in quote currency."""
    base, quote = config.symbol.split("-")
    with localcontext(prec=18):
        quantity = config.allocation_quote / config.levels
    return {
        "pair": f"{quote}_{base}",
        "is_enabled": config.enabled,
        "lower_price": config.lower,
        "upper_price": config.upper,
        "grids_quantity": config.levels + 1,
        "grid_type": config.spacing,
        "quantity_per_grid": quantity,
        "order_currency_type": "quote",
        "lower_stop_loss_enabled": config.limit_lower is not None,
        "lower_stop_loss_price": config.limit_lower,
        "upper_stop_loss_enabled": config.limit_upper is not None,
        "upper_stop_loss_price": config.limit_upper,
    }


def to_freqtrade(config: GridConfig) -> dict[str, Any]:
    """Return configuration and strategy attributes of a Freqtrade grid, with the lines its callbacks need.

    Freqtrade has no grid: `adjust_trade_position` buys at `entry_prices` and sells at the `exit_prices` of the same
    place. `stoploss` is -0.99 where the grid has no `limit_lower`: Freqtrade demands one.
    """
    base, quote = config.symbol.split("-")
    lines, limit = config.lines, config.limit_lower
    with localcontext(prec=18):
        stake = config.allocation_quote / config.levels
        stoploss = limit / config.upper - 1 if limit is not None else Decimal("-0.99")
    return {
        "pair_whitelist": [f"{base}/{quote}"],
        "stake_currency": quote,
        "stake_amount": stake,
        "position_adjustment_enable": True,
        "max_entry_position_adjustment": config.levels - 1,
        "stoploss": stoploss,
        "entry_prices": lines[:-1],
        "exit_prices": lines[1:],
    }
