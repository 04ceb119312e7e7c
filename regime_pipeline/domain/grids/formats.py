"""Grid histories as TOML and JSON, exactly, and the newest grids in other bots' formats.

See `services.grids` for reading and writing files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

import tomlkit

from regime_pipeline._bounded_io import parse_toml, shallow
from regime_pipeline.domain.grids.config import GridConfig, GridConfigError
from regime_pipeline.domain.grids.versions import History, check_history
from regime_pipeline.domain.market_data.window import to_iso

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


SCHEMA_VERSION: Final = 1


def to_fields(config: GridConfig) -> dict[str, Any]:
    """Return a version as plain values: numbers as decimal texts, the time as ISO-8601, no absent limits."""
    values = {name: value for name, value in config.model_dump().items() if value is not None}
    plain = {name: format(value, "f") if isinstance(value, Decimal) else value for name, value in values.items()}
    return plain | {"valid_from": to_iso(config.valid_from_ms)}


def to_json(configs: Iterable[GridConfig]) -> str:
    """Print versions as JSON."""
    return json.dumps(_document(configs), indent=2)


def to_toml(configs: Iterable[GridConfig]) -> str:
    """Print versions as TOML, one table `[[grids]]` each."""
    return tomlkit.dumps(_document(configs))


def from_json(text: str) -> dict[str, History]:
    """Read the histories of a JSON text by symbol; numbers may also stand bare and keep every digit.

    Raises
    ------
    GridConfigError
        The text is not JSON, or anything in it is refused; every fault is named with its place.
    """
    return _histories(text, lambda given: shallow(_parse_json, given))


def from_toml(text: str) -> dict[str, History]:
    """Read the histories of a TOML text by symbol; numbers may also stand bare and keep every digit.

    Raises
    ------
    GridConfigError
        The text is not TOML, or anything in it is refused; every fault is named with its place.
    """
    return _histories(text, lambda given: parse_toml(given, Decimal))


def _parse_json(text: str) -> Any:
    """Parse; an escape that is half a character is refused here, where it can still be named."""
    found = json.loads(text, parse_float=Decimal)
    json.dumps(found, ensure_ascii=False, default=str).encode("utf-8")
    return found


def _document(configs: Iterable[GridConfig]) -> dict[str, Any]:
    """What a file holds."""
    return {"schema_version": SCHEMA_VERSION, "grids": [to_fields(config) for config in configs]}


def _histories(text: str, parse: Callable[[str], Any]) -> dict[str, History]:
    """Parse, build every version, and group them by symbol in the order of the text."""
    try:
        document = parse(text)
    except (ValueError, ArithmeticError) as error:
        raise GridConfigError([f"the text cannot be read: {error}"], "Correct the text there.") from error
    configs = _versions(_entries(document))
    symbols = dict.fromkeys(config.symbol for config in configs)
    return {symbol: check_history([config for config in configs if config.symbol == symbol]) for symbol in symbols}


def _entries(document: Any) -> list[dict[str, Any]]:
    """The tables of a document."""
    if not isinstance(document, dict) or document.keys() != {"schema_version", "grids"}:
        raise GridConfigError(["the text must contain schema_version and grids, and nothing else"])
    if document["schema_version"] != SCHEMA_VERSION:
        raise GridConfigError([f"schema_version = {document['schema_version']!r}: must be {SCHEMA_VERSION}"])
    entries = document["grids"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise GridConfigError(["grids: must be a list of tables"])
    return entries


def _versions(entries: Sequence[dict[str, Any]]) -> list[GridConfig]:
    """Every table as a version; the faults of all of them in one error."""
    configs, faults = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            configs.append(GridConfig(**entry))
        except GridConfigError as error:
            faults += [f"grids[{number}].{fault}" for fault in error.faults]
    if faults:
        raise GridConfigError(faults)
    return configs
