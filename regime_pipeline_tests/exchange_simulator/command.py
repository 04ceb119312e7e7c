"""`regime exchange-simulator`: a local exchange to try things out against, and to break on purpose.

The command line mounts it where the repository is checked out; see `server` for the exchange itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regime_pipeline.cli.console import err
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import parse_symbol
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.settings import Settings
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline_tests.exchange_simulator.clock import Clock
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.price_feed import Listing
from regime_pipeline_tests.exchange_simulator.server import recorded, serve, simulated


def exchange_simulator_command(
    symbol: Annotated[list[str] | None, typer.Option(help="A simulated symbol to list; repeat for more.")] = None,
    candles: Annotated[
        list[str] | None,
        typer.Option(help="SYMBOL=FILE: one-minute candles to trade again, e.g. BTC-USDT=BTCUSDT-1m-2020-03.zip."),
    ] = None,
    now: Annotated[str, typer.Option(help="Where its clock stands, with an offset; real time without it.")] = "",
    price_scale: Annotated[int, typer.Option(min=1, help="Ticks per unit of simulated symbols.")] = 100,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve a local exchange: the REST forms of Binance and KuCoin, the bulk archive, and faults on demand.

    Point the pipeline at it with REGIME_EXCHANGE_URL and REGIME_ARCHIVE_URL. PUT /control/clock, POST or DELETE
    /control/faults, PUT /control/limit and GET /control/requests steer it.

    Example: regime exchange-simulator --symbol ETH-USDT --symbol BTC-USDT
    """
    listings = simulated(
        symbol or ([] if candles else ["BTC-USDT", "ETH-USDT"]), Settings().simulation_seed, price_scale
    )
    listings |= _recorded(candles or [])
    exchange = Exchange(listings, Clock(to_ms(now) if now else None))
    err.print(f"Exchange with {', '.join(listings)}: http://{host}:{port}   stop: Ctrl-C", highlight=False)
    serve(exchange, host, port)


def _recorded(candles: list[str]) -> dict[str, Listing]:
    """Listings of `SYMBOL=FILE` options; several files of a symbol are joined."""
    files: dict[str, list[Path]] = {}
    for option in candles:
        name, sign, path = option.partition("=")
        if not sign:
            raise UsageError(f"'{option}' names no file.", "Write --candles BTC-USDT=FILE.")
        files.setdefault(parse_symbol(name), []).append(Path(path))
    return {symbol: recorded(symbol, paths, ReadOptions()) for symbol, paths in files.items()}
