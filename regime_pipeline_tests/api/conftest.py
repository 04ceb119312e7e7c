"""The API on two simulated markets, for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.api.auth import create_key
from regime_pipeline.importing import import_place
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.settings import Settings


@pytest.fixture(scope="module")
def ws(served: Workspace) -> Workspace:
    """The workspace that is served; modules that write have one of their own."""
    return served


@pytest.fixture(scope="module")
def client(ws: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    place = import_place(Settings(home=tmp_path_factory.mktemp("home")), ws)
    app = create_app(ws, imports_to=place)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def writer(ws: Workspace) -> dict[str, str]:
    """Headers of someone who may write."""
    return {"X-API-Key": create_key(ws.warehouse.access, "bot", "write")}


@pytest.fixture(scope="module")
def reader(ws: Workspace) -> dict[str, str]:
    """Headers of someone who may read."""
    return {"X-API-Key": create_key(ws.warehouse.access, "eye", "read")}
