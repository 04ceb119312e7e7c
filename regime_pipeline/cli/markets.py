"""`regime markets`: the list of markets, shown and edited.

The file itself is read in `services.universe` and edited in `services.market_list`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
import typer
from rich.table import Table

from regime_pipeline.bootstrap import read_universe
from regime_pipeline.cli.console import err, out
from regime_pipeline.domain.market_data.market import DAY_MS, Market
from regime_pipeline.domain.market_data.no_trade import GAP
from regime_pipeline.domain.market_data.window import to_iso, to_ms
from regime_pipeline.services.market_list import add_market, remove_market
from regime_pipeline.services.universe import DEFAULT_PRICE_SCALE, MarketSpec
from regime_pipeline.settings import Settings

markets_app = typer.Typer(help="The markets and where their candles come from.", no_args_is_help=True)
MarketArgument = Annotated[str, typer.Argument(help="SYMBOL_TIMEFRAME, e.g. ETH-USDT_1h.")]


@markets_app.command("list")
def list_command(
    output_format: Annotated[Literal["table", "json"], typer.Option("--format", help="Form of the output.")] = "table",
) -> None:
    """Show the listed markets, in the order of their partitions.

    Example: regime markets list
    """
    universe = read_universe(Settings())
    rows = [
        {
            "market": spec.market.key,
            "source": spec.source,
            "exchange": spec.exchange,
            "price_scale": spec.price_scale,
            "absent_bars": spec.absent_bars,
            "until": to_iso(spec.until_ms) if spec.until_ms is not None else None,
        }
        for spec in universe.specs
    ]
    if output_format == "json":
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table(pad_edge=False)
    for name in ("market", "source", "exchange", "price_scale", "absent_bars", "until"):
        table.add_column(name.replace("_", " "), justify="right" if name == "price_scale" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table)


@markets_app.command("add")
def add_command(
    market: MarketArgument,
    source: Annotated[
        Literal["simulated", "files", "resampled", "exchange", "archive"],
        typer.Option(help="Where its candles come from."),
    ],
    exchange: Annotated[str, typer.Option(help="The exchange's name in ccxt, for exchange and archive.")] = "",
    price_scale: Annotated[int, typer.Option(min=1, help="Ticks per unit of quote currency.")] = DEFAULT_PRICE_SCALE,
    absent_bars: Annotated[
        Literal["gap", "no_trade"],
        typer.Option(help="What a bar means that the source confirms to be absent: a gap, or that nobody traded."),
    ] = GAP,
    start: Annotated[
        str, typer.Option(help="First hour of a new file's partitions, ISO-8601 with offset; 30 days ago by default.")
    ] = "",
) -> None:
    """Add a market at the end of markets.toml; comments stay.

    Example: regime markets add ETH-USDT_1h --source exchange --exchange binance
    """
    settings = Settings()
    known = read_universe(settings).symbols if settings.markets.exists() else frozenset()
    place = Market.parse(market, known)
    today = to_ms(datetime.now(UTC)) // DAY_MS * DAY_MS
    span = (to_ms(start) if start else today - 30 * DAY_MS, None)
    add_market(settings.markets, MarketSpec(place, source, price_scale, exchange, absent_bars=absent_bars), span)
    err.print(f"{place} added to {settings.markets}.", markup=False, soft_wrap=True)


@markets_app.command("remove")
def remove_command(market: MarketArgument) -> None:
    """Take a market off markets.toml; what is stored of it stays.

    Example: regime markets remove ETH-USDT_1h
    """
    settings = Settings()
    place = Market.parse(market, read_universe(settings).symbols)
    remove_market(settings.markets, place)
    err.print(f"{place} removed from {settings.markets}; its stored rows stay.", markup=False, soft_wrap=True)
