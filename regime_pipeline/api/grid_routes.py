"""Routes of grids and their restart gates: open to readers, changed with a write key and the current version.

See `domain.grids` for the rules, `services.grids` for the use cases.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from regime_pipeline.api.checked_route import CheckedRoute
from regime_pipeline.api.context import ContextParameter, Reader, Writer
from regime_pipeline.api.errors import CONFLICT
from regime_pipeline.api.grid_answers import Gates, GridEvents, GridState, Stop, StoredGrid
from regime_pipeline.api.params import RowsLimit, SpanParameter, SymbolPath
from regime_pipeline.api.responses import json_answer
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.grids.formats import to_fields
from regime_pipeline.domain.market_data.market import HOUR_MS, Market, parse_symbol
from regime_pipeline.domain.market_data.window import to_iso, to_ms
from regime_pipeline.services.grids import stop_grid, update_grid
from regime_pipeline.services.queries.advice import newest_advice
from regime_pipeline.services.queries.candle_regimes import FOREVER
from regime_pipeline.services.queries.freshness import Freshness
from regime_pipeline.services.queries.grid_events import grid_log
from regime_pipeline.services.queries.json_records import plain
from regime_pipeline.services.restarts import current_stop, gates_now, restart_grid, stop_document

router = APIRouter(tags=["grids and gates"], route_class=CheckedRoute)
_WEEK_MS = 7 * 24 * HOUR_MS
_TimeframeQuery = Annotated[str, Query(max_length=4, description="Whose advice and gates.", examples=["1h"])]


class GridUpdate(BaseModel):
    """A change of a grid, made on a version one knows."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=0, description="The version it was made on, 0 for the first.", examples=[1])
    why: str = Field(min_length=1, max_length=500, examples=["price left the range"])
    grid: dict[str, Any] = Field(description="Fields to change; every field for the first version.")
    override: bool = Field(
        False, description="Enable it although a stop is in force; `why` says why, and the stop stays in force."
    )


class StopOrder(BaseModel):
    """A stop or a restart of a grid."""

    model_config = ConfigDict(extra="forbid")
    why: str = Field(min_length=1, max_length=500, examples=["news"])


@router.get("/api/grids/{symbol}", response_model=GridState, summary="A symbol's grid and what to do with it")
def grid(context: ContextParameter, _: Reader, symbol: SymbolPath, timeframe: _TimeframeQuery = "1h") -> Response:
    """Return the newest version, the history, the stop in force, and the newest hour's advice where there is one.

    `advice.stale` says why the advice no longer holds; `stop` is there as soon as the grid is stopped.
    """
    name = parse_symbol(symbol)
    history = context.ws.warehouse.grids.history(name)
    if not history:
        raise MissingDataError(f"{name} has no grid.", "Configure one with PUT or `regime grid set`.")
    return json_answer(
        {
            "symbol": name,
            "version": len(history),
            "grid": to_fields(history[-1]),
            "history": [to_fields(version) for version in history],
            "stop": _stop_now(context, name),
            "advice": _advice(context, Market(name, timeframe)),
        }
    )


def _stop_now(context: ContextParameter, symbol: str) -> dict[str, Any] | None:
    stop = current_stop(context.ws, symbol)
    return None if stop is None else stop_document(stop)


def _advice(context: ContextParameter, market: Market) -> dict[str, Any] | None:
    """The newest advice with why it is stale, None while there is none."""
    try:
        row = {name: plain(value) for name, value in newest_advice(context.ws, market).items()}
    except MissingDataError:
        return None
    hour = to_ms(row["hour_start"])
    stale = Freshness(context.ws, market).stale_reason(market, "grid_advice", hour, row["advice_hash"])
    return row | {"stale": stale}


@router.put(
    "/api/grids/{symbol}",
    response_model=StoredGrid,
    responses=CONFLICT,
    summary="Store a new version of a grid",
)
def put_grid(
    context: ContextParameter, writer: Writer, symbol: SymbolPath, update: Annotated[GridUpdate, Body()]
) -> Response:
    """Store a new version, valid from now on; 409 where another version is the newest by now.

    Disabling an enabled grid is a stop. Enabling one while a stop is in force is 409 `restart_refused`, which says what
    its restart gates wait for, unless `override` is true.
    """
    name = parse_symbol(symbol)
    stored = update_grid(
        context.ws,
        name,
        update.grid,
        expected_version=update.version,
        who=writer,
        why=update.why,
        override=update.override,
    )
    return json_answer({"symbol": name, "version": update.version + 1, "grid": to_fields(stored)})


@router.get("/api/grids/{symbol}/events", response_model=GridEvents, summary="What happened to a symbol's grid")
def events(
    context: ContextParameter,
    _: Reader,
    symbol: SymbolPath,
    span: SpanParameter,
    timeframe: _TimeframeQuery = "1h",
    limit: RowsLimit = 200,
) -> Response:
    """Return versions, stops, changes of advice, gates and verdict, and graduation, the newest `limit`, oldest first.

    The last seven days where no `start` is given. `total` counts those that a smaller `limit` leaves out too.
    """
    market, now = Market(symbol, timeframe), context.ws.clock()
    end = min(span[1], now)
    start = max(span[0], 0) if span[0] != FOREVER[0] else end - _WEEK_MS
    found = grid_log(context.ws, market, min(start, end), end)
    return json_answer(
        {
            "symbol": market.symbol,
            "timeframe": timeframe,
            "start": to_iso(min(start, end)),
            "end": to_iso(end),
            "total": len(found),
            "items": [event.document() for event in found[-limit:]],
        }
    )


@router.get("/api/gates/{symbol}", response_model=Gates, summary="The restart gates of a symbol's grid")
def gates(context: ContextParameter, _: Reader, symbol: SymbolPath, timeframe: _TimeframeQuery = "1h") -> Response:
    """Return every stop, the one in force, and its gates now, every condition with value and threshold.

    `current` is null while no stop is in force. `permitted_until` says how long a fresh grid may be started.
    """
    market = Market(symbol, timeframe)
    if not context.ws.warehouse.grids.history(market.symbol):
        raise MissingDataError(f"{market.symbol} has no grid.", "Configure one with PUT or `regime grid set`.")
    stops = [stop_document(event) for event in context.ws.warehouse.grids.stops(market.symbol)]
    found = gates_now(context.ws, market)
    current = None if found is None else found.document()
    return json_answer({"symbol": market.symbol, "timeframe": timeframe, "stops": stops, "current": current})


@router.post(
    "/api/gates/{symbol}/restart",
    response_model=StoredGrid,
    responses=CONFLICT,
    summary="Start the grid that the gates permit",
    status_code=201,
)
def restart(
    context: ContextParameter,
    writer: Writer,
    symbol: SymbolPath,
    order: Annotated[StopOrder, Body()],
    timeframe: _TimeframeQuery = "1h",
) -> Response:
    """Start the probationary grid, which ends the stop; 409 `restart_refused` while the gates do not permit it."""
    stored = restart_grid(context.ws, Market(symbol, timeframe), who=writer, why=order.why)
    return json_answer({"symbol": stored.symbol, "version": stored.version, "grid": to_fields(stored)}, 201)


@router.post("/api/gates/{symbol}/stop", response_model=Stop, summary="Stop a grid now", status_code=201)
def stop(
    context: ContextParameter, writer: Writer, symbol: SymbolPath, order: Annotated[StopOrder, Body()]
) -> Response:
    """Disable the grid and let its restart gates count from here."""
    return json_answer(stop_document(stop_grid(context.ws, parse_symbol(symbol), who=writer, why=order.why)), 201)
