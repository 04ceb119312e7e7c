"""Dagster's webserver behind the guard: its GraphQL commands everything, and has neither login nor check of origin.

It also has `/lineage`: the graph with its groups open, for Dagster opens it with the groups shut and no asset in sight.
"""

from __future__ import annotations

from typing import Final

from dagster_webserver import app, cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route

from regime_pipeline.api.origin_guard import OriginGuard
from regime_pipeline.settings import Settings

GROUPS: Final = ("ingest", "analysis", "output")
LINEAGE: Final = "/lineage"


def lineage(request: Request) -> RedirectResponse:
    """Lead to Dagster's own page of the asset graph, with every group open."""
    opened = ",".join(f"global@global:{group}" for group in GROUPS)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/asset-groups?expanded={opened}")


class GuardedWebserver(DagsterWebserver):
    """The webserver, answering only pages of its own."""

    def build_middleware(self) -> list[Middleware]:
        """Return Dagster's layers within the guard."""
        names = Settings().ui_host_names
        guard = Middleware(OriginGuard, allowed=names, closed_to_get=("/graphql",))
        return [guard, *super().build_middleware()]

    def build_routes(self) -> list[BaseRoute]:
        """Return the way to the open graph, then Dagster's routes."""
        return [Route(LINEAGE, lineage), *super().build_routes()]  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    setattr(app, DagsterWebserver.__name__, GuardedWebserver)
    cli.main()  # type: ignore[no-untyped-call]
