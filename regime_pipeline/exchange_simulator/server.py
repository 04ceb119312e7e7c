"""The exchange as a program: every route in one application, served until told to stop, or within a test.

What is listed is the caller's choice.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette

from regime_pipeline.exchange_simulator import archive, binance, control, kucoin
from regime_pipeline.exchange_simulator.exchange import Exchange


def application(exchange: Exchange) -> Starlette:
    """Return the exchange as an ASGI application."""
    routes = [*binance.routes(exchange), *kucoin.routes(exchange), *archive.routes(exchange), *control.routes(exchange)]
    return Starlette(routes=routes, exception_handlers={ValidationError: control.refuse})


def serve(exchange: Exchange, host: str, port: int) -> None:
    """Serve until interrupted."""
    uvicorn.Server(_config(exchange, host, port)).run()


@contextmanager
def running(exchange: Exchange) -> Iterator[str]:
    """Serve on a free port of the loopback interface in a thread of this process; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(_config(exchange, "127.0.0.1", 0))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def _config(exchange: Exchange, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        application(exchange), host=host, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=2
    )
