"""The outermost layer: a request id, limits on rate and body size, and response times.

See `auth` for keys, the route modules for what a request means.
"""

from __future__ import annotations

import ipaddress
import time
import uuid
from collections import OrderedDict
from functools import lru_cache
from threading import Lock
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regime_pipeline.api.auth import KnownKeys
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.api.errors import error_response
from regime_pipeline.api.monitoring import Metrics
from regime_pipeline.api.symbol_paths import with_one_segment

_MOST_CALLERS: Final = 10_000
FILES: Final = "/api/imports/"
"""Where bodies are files."""
_FREE: Final = frozenset({"/healthz", "/readyz"})


class TokenBuckets:
    """How many requests each caller has left; a minute's worth may be used at once.

    Parameters
    ----------
    per_minute : int
        Requests a caller gains in a minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = Lock()
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now_s: float) -> float:
        """Take one; return 0, or the seconds to wait where there is none left."""
        with self._lock:
            left, at = self._callers.pop(caller, (float(self._per_minute), now_s))
            left = min(self._per_minute, left + (now_s - at) * self._per_minute / 60)
            wait = 0.0 if left >= 1 else (1 - left) * 60 / self._per_minute
            self._callers[caller] = (left - 1 if left >= 1 else left, now_s)
            while len(self._callers) > _MOST_CALLERS:
                self._callers.popitem(last=False)
            return wait


class Gateway:
    """ASGI layer around the API.

    Parameters
    ----------
    app : ASGIApp
        The API.
    options : ApiOptions
        Limits.
    metrics : Metrics
        Where latencies go.
    known : KnownKeys
        Keys with a bucket of their own; whoever sends another, or none, shares that of the address.
    """

    def __init__(self, app: ASGIApp, options: ApiOptions, metrics: Metrics, known: KnownKeys) -> None:
        self._known = known
        self._app = app
        self._options = options
        self._metrics = metrics
        self._buckets = TokenBuckets(options.rate_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = dict(with_one_segment(scope))
        request_id = scope["request_id"] = uuid.uuid4().hex[:12]
        began, statuses = time.perf_counter(), [500]

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses[0] = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._guarded(scope, receive, send_with_id, request_id)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.latency.labels(scope["method"], route, statuses[0]).observe(time.perf_counter() - began)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        wait = 0.0 if scope["path"] in _FREE else self._buckets.take(self._caller(scope), time.monotonic())
        if wait:
            what = f"More than {self._options.rate_per_minute} requests a minute."
            refusal = error_response(429, "rate", what, request_id, retry_after_s=max(1, round(wait)))
            await refusal(scope, receive, send)
            return
        is_file = scope["path"].startswith(FILES)
        most = self._options.max_file_bytes if is_file else self._options.max_body_bytes
        await self._app(scope, _limited(receive, most), send)

    def _caller(self, scope: Scope) -> str:
        """Who asks: a key that was verified before, else the address; nothing that a caller can make up."""
        keys = [bytes(value).decode("latin-1") for name, value in scope["headers"] if name == b"x-api-key"]
        key_id = self._known.key_id(keys[0]) if keys else None
        return f"key {key_id}" if key_id else _network(str((scope.get("client") or ("",))[0]))


def _limited(receive: Receive, max_bytes: int) -> Receive:
    """Refuse a body as soon as it grows too large."""
    size = 0

    async def read() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > max_bytes:
            raise HTTPException(413, f"The body is larger than {max_bytes} bytes.")
        return message

    return read


@lru_cache(_MOST_CALLERS)
def _network(address: str) -> str:
    """The address, or the /64 of an IPv6 one, within which a caller has as many addresses as it likes."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
