"""A route that answers only requests without a fault, and names every fault of the others.

See `faults` for what is noted, `errors` for the shape of the refusal.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from regime_pipeline.api.errors import ApiError
from regime_pipeline.api.faults import begin_to_note, noted_faults

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
OF_BODIES: Final = ("content-length", "transfer-encoding")
"""Headers without which a request has no body."""


class CheckedRoute(APIRoute):
    """A route whose endpoint runs only where no check has noted a fault."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _unless_faulty(endpoint), **options)

    def get_route_handler(self) -> Handler:
        """Return FastAPI's handler, with a list of its own for what each request has wrong."""
        served = super().get_route_handler()

        async def handle(request: Request) -> Response:
            begin_to_note()
            return await served(request)

        return handle


class FileRoute(CheckedRoute):
    """A route whose body is a file: larger than others', and read only once the key is known."""


def _unless_faulty(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(endpoint):

        @wraps(endpoint)
        async def when_sound(**given: Any) -> Any:
            _refuse_noted()
            return await endpoint(**given)

        return when_sound

    @wraps(endpoint)
    def when_sound_in_thread(**given: Any) -> Any:
        _refuse_noted()
        return endpoint(**given)

    return when_sound_in_thread


def _refuse_noted() -> None:
    noted = noted_faults()
    if noted:
        code = "malformed" if any(fault.code == "malformed" for fault in noted) else "usage"
        raise ApiError(422, code, " ".join(fault.what for fault in noted), faults=[fault.what for fault in noted])
