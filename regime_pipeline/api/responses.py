"""JSON answers, encoded by orjson, and answers with a version.

See the route modules for their content.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from fastapi import Header
from starlette.responses import Response

IfNoneMatch = Annotated[str | None, Header(description="The ETag of the answer you have.")]


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON values as an answer; NaN becomes null."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def versioned(
    body: bytes, media_type: str, headers: Mapping[str, str], have: str | None, version: str = ""
) -> Response:
    """Return an answer with its ETag; a 304 without a body where it is the one that the client has.

    Parameters
    ----------
    body : bytes
        What is answered.
    media_type : str
        Of the body.
    headers : mapping of str
        More headers.
    have : str or None
        The ETags that the client sent.
    version : str
        What no other body has; a hash of the body by default.
    """
    tag = f'"{version or blake2b(body, digest_size=12).hexdigest()}"'
    sent = {**headers, "ETag": tag, "Cache-Control": "no-cache"}
    if have is not None and tag in have:
        return Response(status_code=304, headers=sent)
    return Response(body, 200, sent, media_type)
