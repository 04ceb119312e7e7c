"""Refuses texts that PostgreSQL cannot store: NUL characters and half characters (surrogates), wherever they stand.

One check for every route, before its parameters are used; see `errors` for the shape of the refusal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from fastapi import Request

from regime_pipeline.api.checked_route import FileRoute
from regime_pipeline.api.errors import ApiError

_UNSTORABLE: Final = re.compile("[\\x00\\ud800-\\udfff]")


async def refuse_unstorable_text(request: Request) -> None:
    """Raise the 422 for a path, a query or a JSON body that holds such a character."""
    texts = [request.url.path, *request.path_params.values(), *request.query_params.keys()]
    texts += request.query_params.values()
    if not isinstance(request.scope.get("route"), FileRoute):
        texts += _texts(_parsed(await request.body()))
    if any(_UNSTORABLE.search(str(text)) for text in texts):
        raise ApiError(422, "malformed", "A text holds a NUL or half a character (a surrogate). Leave it out.")


def _parsed(body: bytes) -> Any:
    """The JSON of a body; None for a body that is none, which the route itself refuses."""
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included; without recursion, since depth is the caller's choice."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, dict):
            waiting += [*found.keys(), *found.values()]
        elif isinstance(found, list):
            waiting += found
