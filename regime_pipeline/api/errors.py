"""Errors in one flat shape: status, code, what to do, and whether a retry may help.

See the modules that raise them for what counts as an error.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from regime_pipeline.api.faults import noted_faults
from regime_pipeline.api.responses import json_answer
from regime_pipeline.domain.errors import BadSnapshotError, MissingDataError, RegimeError, SourceError, StorageError
from regime_pipeline.domain.grids.config import GridConfigError, StaleGridError
from regime_pipeline.domain.restart_gates.machine import RestartRefusedError

RETRY_AFTER_S: Final = 5
_FAULTY: Final = 422
_RETRYABLE: Final = frozenset({429, 503})
_OF_THE_SERVER: Final = (StorageError, BadSnapshotError, SourceError)
"""Failures whose sentences name the server's URLs and paths: they go to its log, not to callers."""
_UNAVAILABLE: Final = "What is stored cannot be read or written at the moment. The server's log says why: request {}."
_LOG: Final = logging.getLogger(__name__)


class ErrorBody(BaseModel):
    """Every error of the API."""

    ok: bool = Field(False, examples=[False])
    status: int = Field(examples=[404])
    code: str = Field(examples=["missing"])
    error: str = Field(examples=["ETH-USDT_1h is not stored. Materialize its raw_candles first."])
    errors: list[str] = Field([], examples=[["query.limit: Input should be less than or equal to 20000"]])
    is_retryable: bool = Field(False, examples=[False])
    request_id: str = Field(examples=["5f0c9b6e1d2a"])


class ApiError(Exception):
    """A refusal of the API itself.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        Short name, for programs.
    what : str
        What is wrong and what to do.
    retry_after_s : int
        Seconds to wait before asking again; 0 where that does not help.
    faults : sequence of str
        Each thing that is wrong; `what` alone by default.
    """

    def __init__(self, status: int, code: str, what: str, retry_after_s: int = 0, faults: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.status = status
        self.code = code
        self.what = what
        self.retry_after_s = retry_after_s
        self.faults = tuple(faults)


def error_response(
    status: int, code: str, what: str, request_id: str, errors: list[str] | None = None, retry_after_s: int = 0
) -> Response:
    """Return an error as an answer."""
    body = ErrorBody(
        ok=False,
        status=status,
        code=code,
        error=_encodable(what),
        errors=[_encodable(each) for each in errors or []],
        is_retryable=status in _RETRYABLE,
        request_id=request_id,
    )
    headers = {"Retry-After": str(retry_after_s or RETRY_AFTER_S)} if status in _RETRYABLE else {}
    return json_answer(body.model_dump(), status, headers)


def _encodable(text: str) -> str:
    """Half characters, which a body may hold and JSON may not, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def request_id_of(request: Request) -> str:
    """Return the request's id, which the outermost layer made."""
    return str(request.scope.get("request_id", ""))


def classify(error: RegimeError) -> tuple[int, str]:
    """Return HTTP status and code of an expected failure."""
    kinds: tuple[tuple[type[RegimeError], int, str], ...] = (
        (MissingDataError, 404, "missing"),
        (StaleGridError, 409, "conflict"),
        (RestartRefusedError, 409, "restart_refused"),
        (StorageError, 503, "storage"),
        (SourceError, 503, "source"),
        (BadSnapshotError, 503, "storage"),
    )
    return next(((status, code) for kind, status, code in kinds if isinstance(error, kind)), (422, "usage"))


def _not_json(request: Request, error: RequestValidationError) -> str:
    """The cause where a body was not read as JSON because it was not sent as JSON; empty where that is not it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    is_json = kind == "application/json" or kind.endswith("+json")
    if is_json or not any(fault["loc"] == ("body",) for fault in error.errors()) or error.body is None:
        return ""
    sent = f"is sent as {kind}" if kind else "is sent without a Content-Type"
    return f"The body {sent}. Send it as application/json."


def add_error_handlers(app: FastAPI) -> None:
    """Give every kind of failure the flat shape."""

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
        faults = [*error.faults] or ([error.what] if error.status == _FAULTY else [])
        return error_response(error.status, error.code, error.what, request_id_of(request), faults, error.retry_after_s)

    def expected(request: Request, error: Exception) -> Response:
        assert isinstance(error, RegimeError)  # noqa: S101 - registered for this class
        request_id = request_id_of(request)
        if isinstance(error, _OF_THE_SERVER):
            _LOG.warning("Request %s: %s", request_id, error)
            return error_response(*classify(error), _UNAVAILABLE.format(request_id), request_id)
        status, code = classify(error)
        faults = [*error.faults] if isinstance(error, GridConfigError) else [error.what]
        return error_response(status, code, str(error), request_id, faults if status == _FAULTY else [])

    def malformed(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        faults += [fault.what for fault in noted_faults()]
        what = _not_json(request, error) or f"The request is malformed: {'; '.join(faults)}."
        return error_response(422, "malformed", what, request_id_of(request), faults)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "http")
        made = error_response(error.status_code, code, str(error.detail), request_id_of(request))
        made.headers.update(error.headers or {})
        return made

    def unexpected(request: Request, _: Exception) -> Response:
        request_id = request_id_of(request)
        made = error_response(500, "internal", "Something failed that should not.", request_id)
        made.headers["X-Request-Id"] = request_id
        return made

    app.add_exception_handler(ApiError, refused)
    app.add_exception_handler(RegimeError, expected)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in {
        400: "The request cannot be read.",
        401: "A key is needed, or the key given is not in force.",
        403: "The key does not permit this.",
        404: "Nothing of the kind is stored.",
        413: "The body is too large.",
        422: "A parameter or the body is wrong; every fault is named.",
        429: "Too many requests; Retry-After says when to ask again.",
        503: "The database does not answer; Retry-After says when to ask again.",
    }.items()
}
"""Errors that any route may answer with, for the OpenAPI document."""
CONFLICT: Final[dict[int | str, dict[str, Any]]] = {
    409: {
        "model": ErrorBody,
        "description": "`conflict`: another version is the newest. `restart_refused`: the gates do not permit it yet.",
    }
}
"""How a change of a grid may be refused."""
NOT_INSTALLED: Final[dict[int | str, dict[str, Any]]] = {
    501: {"model": ErrorBody, "description": "`not_installed`: the server lacks what the form of the answer needs."}
}
"""How a large read in another form may be refused."""
