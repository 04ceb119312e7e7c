"""What a competent user would serve instead: Starlette alone, psycopg, orjson, the same statement, the same fields.

Its connections are opened once and wait in the event loop, so no thread waits for the interpreter. Nothing is checked:
neither which policy wrote a row nor whether a correction has made it stale, no parameter, no key; no ETag. Run as
`python -m benchmarks.api_peer PORT DATABASE_URL POLICY_HASH`; see `benchmarks.api` for who asks it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regime_pipeline.domain.candle_regimes.states import COLORS, REGIME_STATES
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.copy_format import register_array_loaders
from regime_pipeline.storage.bulk.regime_reads import READ_REGIMES

CONNECTIONS = 8
FIELDS = [
    {
        "regime": state.simplified_regime,
        "full_regime": state.full_regime,
        "trend_state": state.trend_state,
        "volatility_state": state.volatility_state,
        "momentum_state": state.momentum_state,
        "color": COLORS[state.simplified_regime],
    }
    for state in REGIME_STATES
]


def create_app(url: str, policy_hash: str) -> Starlette:
    """Return an application with one route, whose connections are opened once and lent in turn."""
    idle: asyncio.Queue[Any] = asyncio.Queue()
    series: dict[str, int] = {}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        for _number in range(CONNECTIONS):
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            await connection.execute("SET TimeZone = 'UTC'; SET jit = off")
            register_array_loaders(connection)
            idle.put_nowait(connection)
        found = await connection.execute("SELECT symbol, series_id FROM series")
        series.update(dict(await found.fetchall()))
        yield
        while not idle.empty():
            await (await idle.get()).close()

    async def regimes(request: Request) -> Response:
        market = Market(request.path_params["symbol"], request.path_params["timeframe"])
        query = request.query_params
        start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        asked = {
            "series": series[market.symbol],
            "start": start,
            "end": end,
            "limit": int(query["limit"]),
            "reach": timedelta(days=30),
            "last_day": end + timedelta(days=2),
            "hash": policy_hash,
        }
        connection = await idle.get()
        try:
            cursor = await connection.cursor(binary=True).execute(READ_REGIMES, asked, prepare=True)
            _, times, states, confidences, *_rest = await cursor.fetchone()
        finally:
            idle.put_nowait(connection)
        step = market.step_ms // 1000
        rows = [
            {"time": time, "known_at": time + step, **FIELDS[state], "confidence": confidence}
            for time, state, confidence in zip(
                (times // 1000).tolist(), states.tolist(), confidences.round(4).tolist(), strict=True
            )
        ]
        return Response(orjson.dumps(rows), media_type="application/json")

    return Starlette(routes=[Route("/api/data/regime/{symbol}/{timeframe}", regimes)], lifespan=lifespan)


if __name__ == "__main__":
    port, database_url, wanted_hash = sys.argv[1:]
    uvicorn.run(create_app(database_url, wanted_hash), port=int(port), log_level="warning")
