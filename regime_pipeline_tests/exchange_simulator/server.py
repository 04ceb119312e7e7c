"""The exchange as a program: every route in one application, served until asked to stop, or within a test.

What is listed is the caller's choice.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import cast

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.market import EPOCH_MS, MarketSimulation
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import merge_rows
from regime_pipeline.sources.files.reader import read_file
from regime_pipeline_tests.exchange_simulator import binance, kucoin
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.faults import Fault
from regime_pipeline_tests.exchange_simulator.price_feed import Listing
from regime_pipeline_tests.exchange_simulator.responses import json_answer


def simulated(symbols: Iterable[str], seed: int, price_scale: int) -> dict[str, Listing]:
    """Return listings of simulated markets, the same as the source `simulated` has for the seed."""
    return {symbol: _simulated(Market(symbol, "1m").symbol, seed, price_scale) for symbol in symbols}


def _simulated(symbol: str, seed: int, price_scale: int) -> Listing:
    simulation = MarketSimulation(seed, symbol, price_scale)
    return Listing(lambda start, end: simulation.bars("1m", start, end), EPOCH_MS, price_scale)


def recorded(symbol: str, paths: Sequence[Path], options: ReadOptions) -> Listing:
    """Return a listing that trades the one-minute candles of files again.

    Raises
    ------
    BadFileError
        A file is refused.
    """
    market = Market(symbol, "1m")
    parts = [part for path in paths for part in read_file(path, market, options)]
    candles = merge_rows(parts, market, 2**52, options.price_scale).candles
    return Listing(candles.between, int(candles.open_time_ms[0]), candles.price_scale)


class _Clock(BaseModel):
    """Where the clock shall stand; neither: real time."""

    model_config = ConfigDict(extra="forbid")
    now_ms: int | None = Field(None, ge=0)
    advance_ms: int | None = None


class _Limit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight_per_minute: int = Field(ge=0)


_FAULTS = TypeAdapter(list[Fault])


def control_routes(exchange: Exchange) -> list[Route]:
    """Return the routes of the control endpoint."""

    async def requests(_: Request) -> Response:
        return json_answer(exchange.requests)

    return [
        Route("/control/clock", partial(_clock, exchange), methods=["GET", "PUT"]),
        Route("/control/faults", partial(_faults, exchange), methods=["GET", "POST", "DELETE"]),
        Route("/control/limit", partial(_limit, exchange), methods=["PUT"]),
        Route("/control/requests", requests),
    ]


async def _clock(exchange: Exchange, request: Request) -> Response:
    if request.method == "PUT":
        wanted = _Clock.model_validate_json(await request.body())
        if wanted.advance_ms is None:
            exchange.clock.set(wanted.now_ms)
        else:
            exchange.clock.advance(wanted.advance_ms)
    return json_answer({"now_ms": exchange.clock.now_ms()})


async def _faults(exchange: Exchange, request: Request) -> Response:
    if request.method == "DELETE":
        exchange.faults.clear()
    if request.method == "POST":
        for fault in _FAULTS.validate_json(await request.body()):
            exchange.faults.add(fault)
    return json_answer([fault.model_dump() for fault in exchange.faults.listed()])


async def _limit(exchange: Exchange, request: Request) -> Response:
    exchange.ledger.limit = _Limit.model_validate_json(await request.body()).weight_per_minute
    return json_answer({"weight_per_minute": exchange.ledger.limit})


async def refuse(_: Request, error: Exception) -> Response:
    """Answer a wrong order to the control endpoint."""
    faults = cast("ValidationError", error).errors(include_url=False, include_context=False, include_input=False)
    return json_answer({"error": "not understood", "faults": faults}, 422)


def application(exchange: Exchange) -> Starlette:
    """Return the exchange as an ASGI application."""
    routes = [*binance.routes(exchange), *binance.archive_routes(exchange), *kucoin.routes(exchange)]
    routes += control_routes(exchange)
    return Starlette(routes=routes, exception_handlers={ValidationError: refuse})


def serve(exchange: Exchange, host: str, port: int) -> None:
    """Serve until interrupted."""
    uvicorn.Server(_config(exchange, host, port)).run()


@contextmanager
def running(exchange: Exchange) -> Iterator[str]:
    """Serve on a free port of the loopback interface in a thread of this process; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(_config(exchange, "127.0.0.1", 0))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def _config(exchange: Exchange, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        application(exchange), host=host, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=2
    )
