"""The control endpoint: the clock, the faults, the weight limit, and what was asked.

It has no part in what a client of the exchange sees.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regime_pipeline.exchange_simulator.exchange import Exchange
from regime_pipeline.exchange_simulator.faults import Fault
from regime_pipeline.exchange_simulator.responses import json_answer


class _Clock(BaseModel):
    """Where the clock shall stand; neither: real time."""

    model_config = ConfigDict(extra="forbid")
    now_ms: int | None = Field(None, ge=0)
    advance_ms: int | None = None


class _Limit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight_per_minute: int = Field(ge=0)


_FAULTS = TypeAdapter(list[Fault])


def routes(exchange: Exchange) -> list[Route]:
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
