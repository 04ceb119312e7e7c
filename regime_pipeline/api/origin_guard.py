"""Refuses what a foreign web page makes a browser send: rebound names in Host, and requests with another Origin.

For servers on the loopback without a login, which any page that the user visits could otherwise read and command.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

_LOCAL: Final = "localhost"
_MOST_NAMES: Final = 256
"""Remembered of those in Host headers: to take one apart costs as much as to look a request's route up."""


def _plain(refusal: str) -> Response:
    return PlainTextResponse(refusal, 403)


class OriginGuard:
    """ASGI layer that lets through what programs and the server's own pages send.

    Parameters
    ----------
    app : ASGIApp
        What is guarded.
    allowed : iterable of str
        Host names besides `localhost` and literal addresses. A name that an attacker controls can be made to resolve to
        the loopback; an address cannot.
    origins : iterable of str
        Origins whose pages are let through.
    closed_to_get : iterable of str
        Ends of paths that a GET with a `query` must not reach: an image on a foreign page sends no Origin.
    refuse : callable, optional
        Makes the answer of a refusal; plain text by default.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed: Iterable[str] = (),
        origins: Iterable[str] = (),
        closed_to_get: Iterable[str] = (),
        refuse: Callable[[str], Response] = _plain,
    ) -> None:
        self._app = app
        self._allowed = frozenset({_LOCAL, *allowed})
        self._origins = frozenset(origins)
        self._closed = tuple(closed_to_get)
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or refuse it."""
        refusal = "" if scope["type"] == "lifespan" else self._refusal(scope)
        if not refusal:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        else:
            await self._refuse(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if len(hosts) != 1 or (not _is_address(name := _host_name(hosts[0])) and name not in self._allowed):
            return "The Host header does not name this server. Use localhost or its address."
        if any(urlsplit(each).netloc.lower() != hosts[0].lower() for each in set(origins) - self._origins):
            return "Requests of other web pages are refused."
        is_get = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if is_get and scope["path"].endswith(self._closed) and b"query=" in scope["query_string"] and self._closed:
            return "Send it as POST."
        return ""


@lru_cache(_MOST_NAMES)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(_MOST_NAMES)
def _host_name(host: str) -> str:
    """The name or address in a Host header, without port and brackets; empty where it is malformed."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
