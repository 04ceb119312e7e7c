"""`/docs` of the API in a browser that reaches no other server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser

from regime_pipeline.api.app import create_app
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.dashboard.browser import opened


@pytest.fixture
def api(served: Workspace) -> Iterator[str]:
    """Address of the API, on a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(served), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


def test_the_documentation_needs_no_other_server(api: str, chromium: Browser) -> None:
    refused: list[str] = []
    with opened(chromium) as goto:
        page = goto("about:blank")
        page.context.route(
            lambda url: not url.startswith((api, "data:")),
            lambda route: (refused.append(route.request.url), route.abort()),
        )
        page.goto(f"{api}/")
        route = page.get_by_text("Regime of every candle")
        route.click()
        page.get_by_text("Return candles, oldest first").wait_for()

        assert page.url.startswith(f"{api}/docs")
        assert page.get_by_text("RANGE_OK").count() + page.get_by_text("LOWVOL").count() > 0, "an example is shown"
    assert refused == []
