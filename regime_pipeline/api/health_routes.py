"""Is it alive, can it answer, and its figures.

What the figures are stands in `metrics`.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from regime_pipeline.api.context import ContextParameter, Reader
from regime_pipeline.services.records import plain

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Is the process alive")
def healthz() -> dict[str, bool]:
    """Answer without asking anything."""
    return {"ok": True}


@router.get("/readyz", summary="Can it answer questions")
def readyz(context: ContextParameter) -> dict[str, bool]:
    """Ask the database something small; 503 where it does not answer."""
    context.ws.warehouse.markets()
    return {"ok": True}


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics(request: Request, _: Reader) -> Response:
    """Return data age, verdicts, rows and bytes, and the latency of the API."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/markets", tags=["verdicts"], summary="Stored markets")
def markets(context: ContextParameter, _: Reader) -> list[dict[str, Any]]:
    """Return every stored market with the age of its newest candle in seconds, null without candles."""
    found = []
    for market in context.ws.warehouse.markets():
        newest = context.ws.warehouse.latest(market)
        age = None if newest is None else (context.ws.clock() - newest - market.step_ms) / 1000
        found.append({"symbol": market.symbol, "timeframe": market.timeframe, "data_age_s": plain(age)})
    return found
