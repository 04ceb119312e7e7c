"""The API as one application: routes, error shapes, limits and figures put together.

See `cli.serve` for how it is served.
"""

from __future__ import annotations

from typing import Final

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response

from regime_pipeline import __version__
from regime_pipeline.api import grid_routes, hold_routes, hook_routes, regime_routes, verdict_routes
from regime_pipeline.api import monitoring as health_routes
from regime_pipeline.api.auth import KnownKeys
from regime_pipeline.api.context import ApiOptions, Context
from regime_pipeline.api.errors import RESPONSES, add_error_handlers, error_response
from regime_pipeline.api.head_requests import HeadRequests
from regime_pipeline.api.import_routes import import_router
from regime_pipeline.api.middleware import Gateway
from regime_pipeline.api.monitoring import Metrics
from regime_pipeline.api.origin_guard import OriginGuard
from regime_pipeline.api.params import check_path
from regime_pipeline.api.query_names import check_names
from regime_pipeline.api.stored_text import refuse_unstorable_text
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.imports.run import ImportPlace

_LEAST_ZIPPED: Final = 4_096
"""Bytes of an answer from which on it is compressed for those who accept that: less would cost more than it saves."""
_ZIP_LEVEL: Final = 1
"""The quickest: 10,000 regimes shrink 22-fold in a third of the time that the highest level takes for 31-fold."""
_DESCRIPTION: Final = """Market regimes for grid bots, analysts and agents: candle regimes, hourly verdicts with
reasons, grids and their restart gates. Times are ISO-8601 with an offset; a naive time is an error. Every error has
one flat shape."""


def create_app(ws: Workspace, options: ApiOptions | None = None, imports_to: ImportPlace | None = None) -> FastAPI:
    """Return the API on an open workspace.

    Parameters
    ----------
    ws : Workspace
        Whose tables it serves; the caller closes it.
    options : ApiOptions, optional
        Keys and limits; open to the loopback by default.
    imports_to : ImportPlace, optional
        Where files are imported to; without one the API has no such route.
    """
    chosen = options or ApiOptions()
    metrics, known = Metrics(ws), KnownKeys()
    app = FastAPIOffline(
        redoc_url=None,
        static_url="/docs/files",
        title="regime_pipeline",
        version=__version__,
        description=_DESCRIPTION,
        responses=RESPONSES,
        middleware=[
            *_cross_origin(chosen),
            *_guards(chosen),
            Middleware(Gateway, options=chosen, metrics=metrics, known=known),
            Middleware(HeadRequests),
            Middleware(GZipMiddleware, minimum_size=_LEAST_ZIPPED, compresslevel=_ZIP_LEVEL),
        ],
        dependencies=[Depends(refuse_unstorable_text), Depends(check_names), Depends(check_path)],
    )
    app.state.context = Context(ws, chosen, known)
    app.state.metrics = metrics
    add_error_handlers(app)
    app.include_router(health_routes.alive)
    app.include_router(regime_routes.quick)
    for routes in (regime_routes, verdict_routes, hold_routes, grid_routes, hook_routes, health_routes):
        app.include_router(routes.router)
    if imports_to is not None:
        app.include_router(import_router(imports_to))
    app.add_api_route("/", _to_the_documentation, include_in_schema=False)
    return app


def _to_the_documentation() -> Response:
    """Whoever opens the address in a browser finds what there is."""
    return RedirectResponse("/docs")


def _guards(options: ApiOptions) -> list[Middleware]:
    """The guard where reading needs no key; where it does, a foreign page has no key to send."""
    if options.is_key_required:
        return []

    def refuse(what: str) -> Response:
        return error_response(403, "origin", what, "")

    return [Middleware(OriginGuard, allowed=options.allowed_hosts, origins=options.cors_origins, refuse=refuse)]


def _cross_origin(options: ApiOptions) -> list[Middleware]:
    """Lets browsers hand answers to the pages of the origins named, and to no other's."""
    if not options.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(options.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT"],
            allow_headers=["X-API-Key", "Content-Type", "If-None-Match"],
            expose_headers=["ETag", "Link", "Retry-After", "X-Regime-Source", "X-Request-Id", "X-Total-Count"],
        )
    ]
