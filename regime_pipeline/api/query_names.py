"""Notes query parameters that a route does not know: a misspelt `limt` would be ignored without a word.

See `stored_text` for texts that cannot be stored, `faults` for what becomes of what is noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from regime_pipeline.api.faults import note_fault

_SHOWN_CHARS = 40


async def check_names(request: Request) -> None:
    """Note every name in a query that the route does not take, with what is near, or all there are."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not request.query_params:
        return
    known = _known(route)
    for name in sorted(set(request.query_params.keys()) - known):
        note_fault(_said(name, known), "malformed")


def _known(route: APIRoute) -> frozenset[str]:
    """The names of a route's query parameters, those of what it depends on included."""
    return frozenset(_names(route.dependant))


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for part in dependant.dependencies:
        yield from _names(part)


def _said(name: str, known: frozenset[str]) -> str:
    near = get_close_matches(name, known, 1)
    todo = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known)) or 'none'}."
    return f"'{name[:_SHOWN_CHARS]}' is not a query parameter here. {todo}"
