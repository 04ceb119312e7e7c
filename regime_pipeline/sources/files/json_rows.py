"""Rows of JSON: a list of lists or of objects, bare or in the envelope of an exchange's reply.

What a row means stands in `layouts`; whether it is a candle in `checks`.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from regime_pipeline.sources.files.layouts import ReadOptions, positions_by_name, positions_by_order
from regime_pipeline.sources.files.table import BadFileError, Table, pick_columns

_KUCOIN_SUCCESS: Final = "200000"
_TODO: Final = "Write [[epoch ms, open, high, low, close, volume], ...]."


def read_json(content: bytes, place: str, options: ReadOptions) -> Table:
    """Return the rows of JSON text; rows are counted from 1.

    Raises
    ------
    BadFileError
        The text is not JSON, or is not a list of equally long rows that hold the six fields.
    """
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadFileError(f"{place} is not JSON: {error}.", "Fetch it again.") from error
    is_kucoin = isinstance(parsed, dict) and parsed.get("code") == _KUCOIN_SUCCESS
    rows = parsed.get("data") if isinstance(parsed, dict) else parsed
    if not isinstance(rows, list) or not rows:
        raise BadFileError(f"{place} holds no list of rows.", _TODO)
    try:
        names, cells = _cells(rows)
        named = names and not options.columns
        positions = (
            positions_by_name(names) if named else positions_by_order(options, len(cells[0]), is_kucoin=is_kucoin)
        )
    except ValueError as error:
        raise BadFileError(f"{place}: {error}.", _TODO) from error
    is_newest_first = is_kucoin or options.layout == "kucoin"
    return Table(place, "row", range(1, len(rows) + 1), pick_columns(cells, positions), is_newest_first)


def _cells(rows: list[Any]) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns (none for lists) and every row as a list."""
    names = list(rows[0]) if isinstance(rows[0], dict) else []
    kind = dict if names else list
    width = len(rows[0]) if isinstance(rows[0], kind) else 0
    wrong = next((at for at, row in enumerate(rows, 1) if not isinstance(row, kind) or len(row) != width), None)
    if wrong is not None:
        raise ValueError(f"row {wrong} is not a {'record' if names else 'list'} of the first row's length")
    try:
        return names, [[row[name] for name in names] for row in rows] if names else rows
    except KeyError as error:
        raise ValueError(f"a row has no {error}") from error
