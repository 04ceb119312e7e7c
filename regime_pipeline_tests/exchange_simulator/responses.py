"""Answers as bytes on the wire, sound or broken as a fault wants them.

What an answer says stands with each exchange's routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import HTMLResponse, Response

from regime_pipeline_tests.exchange_simulator.faults import ANSWER_KINDS, Fault, Faults, Kind

_HTML: Final = "<html><head><title>503</title></head><body>Service Temporarily Unavailable</body></html>"


class _Cut(Response):
    """Half of an answer; the connection then ends (`dropped`), or the answer claims to be whole (`truncated`)."""

    def __init__(self, content: bytes, *, is_claiming_whole: bool) -> None:
        super().__init__(content[: len(content) // 2], media_type="application/json")
        if not is_claiming_whole:
            self.headers["content-length"] = str(len(content) + 1)


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of JSON."""
    return Response(orjson.dumps(content), status, headers, "application/json")


class Errors:
    """How one exchange words its refusals.

    Parameters
    ----------
    code_name, text_name : str
        Names of the two fields of an error's body.
    codes : mapping of str to (code, text)
        By `rate_limit`, `ban`, `timeout`, `restricted`.
    timeout_status : int
        HTTP status of its own time-out.
    """

    def __init__(
        self, code_name: str, text_name: str, codes: Mapping[str, tuple[Any, str]], timeout_status: int
    ) -> None:
        self._names = (code_name, text_name)
        self._codes = codes
        self.timeout_status = timeout_status

    def answer(self, name: str, status: int, wait_s: float = 0.0) -> Response:
        """Return a refusal, with Retry-After where the client has to wait."""
        headers = {"Retry-After": str(round(wait_s))} if wait_s else {}
        return json_answer(dict(zip(self._names, self._codes[name], strict=True)), status, headers)


async def with_faults(faults: Faults, symbol: str, path: str, answer: Response, errors: Errors) -> Response:
    """Return the answer, or what the first fault that hits the request makes of it."""
    for kind in ANSWER_KINDS:
        fault = faults.hit(kind, symbol, path)
        if fault is not None:
            return await _broken(fault, answer, errors)
    return answer


async def _broken(fault: Fault, answer: Response, errors: Errors) -> Response:
    body = bytes(answer.body)
    match fault.kind:
        case Kind.RATE_LIMIT:
            return errors.answer("rate_limit", 429, fault.seconds)
        case Kind.BAN:
            return errors.answer("ban", 418, fault.seconds)
        case Kind.UNAVAILABLE:
            return HTMLResponse(_HTML, 503)
        case Kind.TIMEOUT:
            return errors.answer("timeout", errors.timeout_status)
        case Kind.RESTRICTED:
            return errors.answer("restricted", 451)
        case Kind.SLOW:
            await asyncio.sleep(fault.seconds)
            return answer
        case _:
            return _Cut(body, is_claiming_whole=fault.kind == Kind.TRUNCATED)
