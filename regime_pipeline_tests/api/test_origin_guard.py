"""The guard in front of servers without a login: foreign hosts and pages are refused, programs are not."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from regime_pipeline.api.origin_guard import OriginGuard


def page(_: object) -> PlainTextResponse:
    return PlainTextResponse("here")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


GUARD = Middleware(OriginGuard, closed_to_get=("/graphql",))
APP = Starlette(
    routes=[Route("/", page), Route("/graphql", page, methods=["GET", "POST"]), WebSocketRoute("/talk", talk)],
    middleware=[GUARD],
)
HOME = TestClient(APP, base_url="http://127.0.0.1:3000")


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost", "LOCALHOST:80", "[::1]:3000", "10.0.0.7"])
def test_addresses_and_localhost_are_answered(host: str) -> None:
    assert HOME.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1", "a@b"]
)
def test_a_rebound_or_malformed_name_is_refused(host: str) -> None:
    assert HOME.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:8090", "http://127.0.0.1:3000.evil"]
)
def test_another_page_may_not_ask(origin: str) -> None:
    assert HOME.get("/", headers={"Origin": origin}).status_code == 403
    assert HOME.post("/graphql", headers={"Origin": origin}).status_code == 403
    with pytest.raises(WebSocketDisconnect), HOME.websocket_connect("/talk", headers={"Origin": origin}):
        pass


def test_its_own_page_and_programs_may() -> None:
    own = {"Host": "127.0.0.1:3000", "Origin": "http://127.0.0.1:3000"}
    assert HOME.post("/graphql", headers=own).status_code == 200
    assert HOME.post("/graphql").status_code == 200
    with HOME.websocket_connect("/talk", headers=own) as socket:
        assert socket.receive_text() == "hello"


def test_an_image_on_a_foreign_page_commands_nothing() -> None:
    assert HOME.get("/graphql?query=mutation{setNuxSeen}").status_code == 403
    assert HOME.get("/graphql").status_code == 200
