"""How the API is served: limits on connections, headers and the time a request may take to arrive.

Uvicorn bounds none of the three by itself with this parser: a header without end would grow in memory, and half a
request would hold its connection indefinitely. See `middleware` for limits on rate and bodies.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS: Final = 500
"""Above it a request is answered with 503; below what `ulimit -n` gives a process (1,024) with files to spare."""
MOST_HEADER_BYTES: Final = 65_536
ARRIVAL_S: Final = 20.0
"""How long a request may take to arrive whole, and a connection to send its first byte."""
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection: its headers are counted while they arrive, and a clock runs until each request is whole."""

    arrival_s = ARRIVAL_S
    _header_bytes = 0
    _is_in_headers = True
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless they are too many for headers."""
        if self._is_in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER_BYTES:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        super().on_message_begin()
        self._start_clock()

    def on_headers_complete(self) -> None:
        """Count no further: the body has a limit of its own."""
        self._is_in_headers, self._header_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock: the request is whole."""
        self._stop_clock()
        self._is_in_headers = True
        super().on_message_complete()

    def _start_clock(self) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(self.arrival_s, self._close)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _close(self) -> None:
        self.transport.close()


def bounded_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """Return uvicorn's configuration with the limits.

    Headers such as X-Forwarded-For are not believed: whoever sends them would choose his own rate limit.
    """
    return uvicorn.Config(
        app,
        log_level="warning",
        http=BoundedProtocol,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=2,
        **options,
    )
