"""Lists in pages: items, how many there are, and where the next page is.

What the items are is each route's business.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from regime_pipeline.api.parameters import decode_cursor, encode_cursor


class Page(BaseModel):
    """One page of a list."""

    items: list[dict[str, Any]]
    total: int = Field(description="Items of the whole list.")
    next_url: str | None = Field(description="The next page; null at the end.")


def page_of(request: Request, items: list[dict[str, Any]], limit: int, cursor: str) -> Page:
    """Return the page of a list that a cursor points at."""
    first = decode_cursor(cursor) or 0
    until = first + limit
    return Page(items=items[first:until], total=len(items), next_url=next_url(request, until, until < len(items)))


def next_url(request: Request, position: int, is_more: bool) -> str | None:
    """Return the address of the page at a position, None where there is no more."""
    return str(request.url.include_query_params(cursor=encode_cursor(position))) if is_more else None
