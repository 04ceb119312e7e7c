"""Responses that always fit: pages of rows with an exact cursor, and single objects.

See the tool modules for their content.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson

from regime_pipeline.domain.errors import UsageError

MAX_BYTES: Final = 24 * 1024
"""Most bytes of an answer, encoded."""
_SEAL_CHARS: Final = 12
_BETWEEN: Final = "~"
_CUTS: Final = (400, 100, 20)


def encode(answer: dict[str, Any]) -> str:
    """Return an answer as the JSON text that is sent."""
    return orjson.dumps(answer).decode()


def page(
    query: Sequence[object],
    keys: Sequence[str],
    rows: Callable[[int, int], Sequence[dict[str, Any]]],
    *,
    limit: int,
    cursor: str | None,
    context: dict[str, Any],
) -> dict[str, Any]:
    """Return one page of a list.

    Parameters
    ----------
    query : sequence of object
        Everything that decides what the list holds; a cursor of another query is refused.
    keys : sequence of str
        One per row of the whole list, ascending, each once; a row keeps its key while the list grows.
    rows : callable
        Gives the rows from one place to before another.
    limit : int
        Most rows.
    cursor : str or None
        `next_cursor` of the page before.
    context : dict
        What stands before the rows.

    Returns
    -------
    dict
        `context`, `rows`, `total` of the whole list, `returned`, `truncated` (more rows follow), `next_cursor`.

    Raises
    ------
    UsageError
        The cursor is not one of this query.
    """
    start = 0 if not cursor else bisect_right(keys, _opened(query, cursor))
    made = rows(start, min(start + limit, len(keys)))
    count = _fitting(context, made, len(keys))
    end = start + count
    is_more = end < len(keys)
    return {
        **context,
        "rows": list(made[:count]),
        "total": len(keys),
        "returned": count,
        "truncated": is_more,
        "next_cursor": _sealed(query, keys[end - 1]) if is_more else None,
    }


def single(answer: dict[str, Any]) -> dict[str, Any]:
    """Return one object as an answer; where it is too long its longest texts are cut, and `truncated` says so."""
    whole = {**answer, "total": 1, "returned": 1, "truncated": False, "next_cursor": None}
    if _size(whole) <= MAX_BYTES:
        return whole
    cut = ({**_shortened(whole, chars), "truncated": True} for chars in _CUTS)
    return next(found for found in cut if _size(found) <= MAX_BYTES)


def _fitting(context: dict[str, Any], rows: Sequence[dict[str, Any]], total: int) -> int:
    """How many of the rows fit beside the context and the longest cursor."""
    frame = {**context, "rows": [], "total": total, "returned": total, "truncated": False, "next_cursor": "x" * 120}
    free = MAX_BYTES - _size(frame)
    for count, row in enumerate(rows):
        free -= _size(row) + 1
        if free < 0:
            return max(count, 1)  # at least one, so that every list comes to its end
    return len(rows)


def _size(value: dict[str, Any]) -> int:
    """Bytes of a value as it is sent."""
    return len(orjson.dumps(value))


def _shortened(value: Any, chars: int) -> Any:
    """A JSON value with every text cut to so many characters."""
    if isinstance(value, dict):
        return {name: _shortened(inner, chars) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner, chars) for inner in value]
    return f"{value[:chars]}…" if isinstance(value, str) and len(value) > chars else value


def _sealed(query: Sequence[object], key: str) -> str:
    return f"{key}{_BETWEEN}{_seal(query, key)}"


def _opened(query: Sequence[object], cursor: str) -> str:
    """The key of the last row before the page."""
    key, _, seal = cursor.rpartition(_BETWEEN)
    if seal != _seal(query, key):
        raise UsageError(
            "The cursor is from a different query.",
            "Repeat every other argument of the page before and pass its next_cursor unchanged, or leave cursor out.",
        )
    return key


def _seal(query: Sequence[object], key: str) -> str:
    return blake2b(repr((*query, key)).encode(), digest_size=_SEAL_CHARS // 2).hexdigest()
