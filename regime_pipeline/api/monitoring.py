"""Prometheus metrics: API latency, data age, the newest verdicts, rows and bytes per 1,000 candles.

The database is queried at most every 15 seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Lock
from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from regime_pipeline.api.answers import Ok, StoredMarket
from regime_pipeline.api.checked_route import OF_BODIES, CheckedRoute, Handler
from regime_pipeline.api.context import ContextParameter, Reader
from regime_pipeline.api.responses import json_answer
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.webhooks import newest_verdict

_ALIVE: Final = b'{"ok":true}'


class _AliveRoute(CheckedRoute):
    """Answers at once what asks nothing more; FastAPI, which takes longer to find no fault, refuses the rest."""

    def get_route_handler(self) -> Handler:
        checked = super().get_route_handler()

        async def handle(request: Request) -> Response:
            is_bare = not request.scope["query_string"] and not any(name in request.headers for name in OF_BODIES)
            return Response(_ALIVE, media_type="application/json") if is_bare else await checked(request)

        return handle


alive = APIRouter(tags=["service"], route_class=_AliveRoute)
router = APIRouter(tags=["service"], route_class=CheckedRoute)


@alive.get("/healthz", summary="Is the process alive")
async def healthz() -> Ok:
    """Answer without asking anything.

    In the event loop: a thread would have to be waited for while every one of them waits for the database.
    """
    return Ok(ok=True)


@router.get("/readyz", summary="Can it answer questions")
def readyz(context: ContextParameter) -> Ok:
    """Ask the database something small; 503 where it does not answer."""
    context.ws.warehouse.markets()
    return Ok(ok=True)


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics(request: Request, _: Reader) -> Response:
    """Return data age, verdicts, rows and bytes, and the latency of the API."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/markets", response_model=list[StoredMarket], tags=["verdicts"], summary="Stored markets")
def markets(context: ContextParameter, _: Reader) -> Response:
    """Return every stored market with the age of its newest candle in seconds, null without candles."""
    found = []
    for market in context.ws.warehouse.markets():
        newest = context.ws.warehouse.latest(market)
        age = None if newest is None else round((context.ws.clock() - newest - market.step_ms) / 1000)
        ages = {"data_age_seconds": age, "data_age_s": age}
        found.append({"symbol": market.symbol, "timeframe": market.timeframe, **ages})
    return json_answer(found)


KEPT_FOR_S: Final = 15.0
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The figures of one running API.

    Parameters
    ----------
    ws : Workspace
        Where the stored figures come from.
    """

    def __init__(self, ws: Workspace) -> None:
        self.registry = CollectorRegistry()
        self.latency = Histogram(
            "regime_api_request_seconds",
            "Time from a request to the end of its answer.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(StoredFigures(ws))


class StoredFigures(Collector):
    """Figures of what is stored."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._lock = Lock()
        self._made_at = -KEPT_FOR_S
        self._made: list[GaugeMetricFamily] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the figures, at most `KEPT_FOR_S` old."""
        with self._lock:
            if time.monotonic() - self._made_at >= KEPT_FOR_S:
                self._made = [*self._markets(), *self._tables(), *self._stages()]
                self._made_at = time.monotonic()
            return iter(self._made)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return nothing: registering must not touch the database."""
        return iter(())

    def _markets(self) -> list[GaugeMetricFamily]:
        age = GaugeMetricFamily("regime_data_age_seconds", "Since the newest candle's close.", labels=["market"])
        verdict = GaugeMetricFamily("regime_verdict", "1 for the newest verdict.", labels=["market", "verdict"])
        for market in self._ws.warehouse.markets():
            newest = self._ws.warehouse.latest(market)
            if newest is not None:
                age.add_metric([str(market)], (self._ws.clock() - newest - market.step_ms) / 1000)
            known = newest_verdict(self._ws, market)
            if known is not None:
                verdict.add_metric([str(market), known["verdict"]], 1.0)
        return [age, verdict]

    def _tables(self) -> list[GaugeMetricFamily]:
        rows = GaugeMetricFamily("regime_table_rows", "Rows; of small tables estimated.", labels=["table"])
        size = GaugeMetricFamily("regime_table_bytes", "Bytes with indexes.", labels=["table"])
        per = GaugeMetricFamily("regime_bytes_per_1000_candles", "Bytes of all tables per 1,000 candles.")
        found = self._ws.warehouse.table_sizes()
        for table in found:
            rows.add_metric([table.name], table.rows)
            size.add_metric([table.name], table.size_bytes)
        candles = next((table.rows for table in found if table.name == "candles"), 0)
        if candles > 0:
            per.add_metric([], sum(table.size_bytes for table in found) / candles * 1000)
        return [rows, size, per]

    def _stages(self) -> list[GaugeMetricFamily]:
        age = GaugeMetricFamily("regime_stage_age_seconds", "Since a stage last wrote anything.", labels=["stage"])
        for stage, seconds in self._ws.warehouse.seconds_since_writes().items():
            age.add_metric([stage], seconds)
        return [age]
