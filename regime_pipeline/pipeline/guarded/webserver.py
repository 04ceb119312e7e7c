"""Dagster's webserver behind the guard: its GraphQL commands everything, and has neither login nor check of origin."""

from __future__ import annotations

from dagster_webserver import app, cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware

from regime_pipeline.api.origin_guard import OriginGuard


class GuardedWebserver(DagsterWebserver):
    """The webserver, answering only pages of its own."""

    def build_middleware(self) -> list[Middleware]:
        """Return Dagster's layers within the guard."""
        return [Middleware(OriginGuard, closed_to_get=("/graphql",)), *super().build_middleware()]


if __name__ == "__main__":
    setattr(app, DagsterWebserver.__name__, GuardedWebserver)
    cli.main()  # type: ignore[no-untyped-call]
