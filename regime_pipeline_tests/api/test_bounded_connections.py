"""Headers without end and requests that never become whole cost a bounded amount, over a real socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from regime_pipeline.api.bounded_connections import MOST_HEADER_BYTES, BoundedProtocol, bounded_config


async def who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.client.host if request.client else "")


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(bounded_config(Starlette(routes=[Route("/", who)])))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join(10)


def answer(address: tuple[str, int], *parts: bytes) -> bytes:
    """Send bytes and read until the server closes."""
    received = b""
    with socket.create_connection(address, timeout=20) as client:
        try:
            for part in parts:
                client.sendall(part)
            while chunk := client.recv(65_536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received


def test_headers_are_bounded_in_size_and_requests_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "arrival_s", 1.0)
    with serving() as address:
        endless = [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", *[b"x" * 8_192] * (MOST_HEADER_BYTES // 8_192 + 2)]
        assert b"200 OK" not in answer(address, *endless)
        began = time.monotonic()
        assert answer(address, b"GET / HTTP/1.1\r\nHost: loc") == b""
        assert answer(address) == b""
        assert answer(address, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx").find(b"200") < 0
        assert 2.5 < time.monotonic() - began < 15


def test_forwarded_headers_are_not_believed() -> None:
    with serving() as address:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n\r\n"
        assert answer(address, request).endswith(b"127.0.0.1")
