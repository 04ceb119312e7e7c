"""Routes of grids and their restart gates: open to readers, changed with a write key and the current version.

See `domain.grids` for the rules, `services.grids` for the use cases.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from regime_pipeline.api.context import ContextParameter, Reader, Writer
from regime_pipeline.api.params import SymbolPath
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.grids.formats import to_fields
from regime_pipeline.domain.market_data.market import Market, parse_symbol
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.services.grids import newest_advice, stop_grid, update_grid
from regime_pipeline.services.queries.json_records import plain

router = APIRouter(tags=["grids and gates"])
_TimeframeQuery = Annotated[str, Query(max_length=4, description="Whose advice and gates.", examples=["1h"])]


class GridUpdate(BaseModel):
    """A change of a grid, made on a version one knows."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=0, description="The version it was made on, 0 for the first.", examples=[1])
    why: str = Field(min_length=1, max_length=500, examples=["price left the range"])
    grid: dict[str, Any] = Field(description="Fields to change; every field for the first version.")


class StopOrder(BaseModel):
    """A stop of a grid."""

    model_config = ConfigDict(extra="forbid")
    why: str = Field(min_length=1, max_length=500, examples=["news"])


@router.get("/api/grids/{symbol}", summary="A symbol's grid and what to do with it")
def grid(context: ContextParameter, _: Reader, symbol: SymbolPath, timeframe: _TimeframeQuery = "1h") -> dict[str, Any]:
    """Return the newest version, the history, and the newest hour's advice where there is one."""
    name = parse_symbol(symbol)
    history = context.ws.warehouse.grids.history(name)
    if not history:
        raise MissingDataError(f"{name} has no grid.", "Configure one with PUT or `regime grid set`.")
    return {
        "symbol": name,
        "version": len(history),
        "grid": to_fields(history[-1]),
        "history": [to_fields(version) for version in history],
        "advice": _advice(context, Market(name, timeframe)),
    }


def _advice(context: ContextParameter, market: Market) -> dict[str, Any] | None:
    """The newest advice, None while there is none."""
    try:
        return {name: plain(value) for name, value in newest_advice(context.ws, market).items()}
    except MissingDataError:
        return None


@router.put("/api/grids/{symbol}", summary="Store a new version of a grid")
def put_grid(
    context: ContextParameter, writer: Writer, symbol: SymbolPath, update: Annotated[GridUpdate, Body()]
) -> dict[str, Any]:
    """Store a new version, valid from now on; 409 where another version is the newest by now."""
    name = parse_symbol(symbol)
    stored = update_grid(context.ws, name, update.grid, expected_version=update.version, who=writer, why=update.why)
    return {"symbol": name, "version": update.version + 1, "grid": to_fields(stored)}


@router.get("/api/gates/{symbol}", summary="The restart gates of a symbol's grid")
def gates(
    context: ContextParameter, _: Reader, symbol: SymbolPath, timeframe: _TimeframeQuery = "1h"
) -> dict[str, Any]:
    """Return the stops and the gates at the newest hour, every condition with value and threshold."""
    market = Market(symbol, timeframe)
    advice = newest_advice(context.ws, market)
    names = ("hour_start", "gate_state", "gate_bars", "gate_held", "gate_checks", "restart_grid")
    stops = [_stop(event) for event in context.ws.warehouse.grids.stops(market.symbol)]
    return {"symbol": market.symbol, "stops": stops, **{name: plain(advice[name]) for name in names}}


@router.post("/api/gates/{symbol}/stop", summary="Stop a grid now", status_code=201)
def stop(
    context: ContextParameter, writer: Writer, symbol: SymbolPath, order: Annotated[StopOrder, Body()]
) -> dict[str, Any]:
    """Disable the grid and let its restart gates count from here."""
    return _stop(stop_grid(context.ws, parse_symbol(symbol), who=writer, why=order.why))


def _stop(event: StopEvent) -> dict[str, Any]:
    return {
        "stopped_at": to_iso(event.stopped_at_ms),
        "cause": event.cause,
        "who": event.who,
        "why": event.why,
    }
