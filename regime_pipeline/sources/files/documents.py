"""Rows of JSON: lists of lists or of records, wherever they are in a vendor's reply, and JSON lines.

See `text` for text, `columnar` for Parquet, `columns` for what a column means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from regime_pipeline.sources.files.layouts import (
    FIELDS,
    KRAKEN,
    KUCOIN,
    OKX,
    TIMEFRAME_NAMES,
    TURNOVER,
    ReadOptions,
    field_of,
    is_header,
    normalize,
)
from regime_pipeline.sources.files.table import BadFileError, Grid

_TODO: Final = "Write [[epoch ms, open, high, low, close, volume], ...]."
_DEPTH: Final = 5
_WRAPPED: Final = 3
"""A list of more records than these is rows, not an envelope."""
_MESSAGES: Final = ("msg", "message", "error", "detail", "Error Message", "Note", "Information")
_NAMES_OF_MARKETS: Final = ("symbol", "ticker", "pair", "instId", "market", "ch")


def read_json(content: bytes, place: str, options: ReadOptions) -> Grid:
    """Return the rows of JSON text; rows are counted from 1.

    Raises
    ------
    BadFileError
        The text is not JSON, contains no list of rows or several, or rows of different lengths.
    """
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        parsed = _json_lines(content)
        if parsed is None:
            raise BadFileError(f"{place} is not JSON: {error}.", "Fetch it again.") from error
    found = list(_row_lists(parsed, (), {}))
    if not found:
        raise _without_rows(parsed, place)
    path, rows = _chosen(found, place)
    try:
        names, columns = _columns(rows)
    except ValueError as error:
        raise BadFileError(f"{place}: {error}.", _TODO) from error
    order = () if names or options.columns else _order(parsed, path, len(columns))
    symbols, timeframes = tuple(_said(parsed, path, _NAMES_OF_MARKETS)), tuple(_said(parsed, path, TIMEFRAME_NAMES))
    lines = range(1, len(columns[0]) + 1)
    return Grid(place, "row", lines, columns, names, order, symbols=(*path[-1:], *symbols), timeframes=timeframes)


def _without_rows(document: Any, place: str) -> BadFileError:
    """Return the error of a document without rows, with what a venue says in place of them."""
    said = [document[name] for name in _MESSAGES if name in document] if isinstance(document, dict) else []
    message = next((text for text in said if isinstance(text, str) and text), "")
    if message:
        return BadFileError(f"{place} holds no candles but a message: {message[:200].rstrip('.')}.", "Fetch it again.")
    return BadFileError(f"{place} contains no list of rows.", _TODO)


def read_json_lines(content: bytes, place: str, options: ReadOptions) -> Grid:
    """Return the rows of JSON lines: one list or record each; errors as `read_json`."""
    rows = _json_lines(content)
    return read_json(content if rows is None else orjson.dumps(rows), place, options)


def _json_lines(content: bytes) -> list[Any] | None:
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    try:
        rows = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        return None
    return rows if all(isinstance(row, list | dict) for row in rows) else None


def _row_lists(value: Any, path: tuple[str, ...], times: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the place and content of everything in a document that can be rows.

    Parameters
    ----------
    value : JSON value
        What is looked through.
    path : tuple of str
        Where it stands.
    times : mapping of str to list
        Columns of times on the way there: a reply may hold them a level above the prices.
    """
    if isinstance(value, list):
        yield from _in_list(value, path, times)
    elif isinstance(value, dict):
        if _is_columns(value):
            columns = _lists(value)
            rows = len(next(iter(columns.values())))
            above = (
                {} if any(map(_is_time, columns)) else {key: each for key, each in times.items() if len(each) == rows}
            )
            yield path, {**above, **columns}
        elif rows := _records(value):
            yield path, rows
        elif len(path) < _DEPTH:
            here = {**times, **{key: inner for key, inner in _lists(value).items() if _is_time(key)}}
            for key, inner in value.items():
                yield from _row_lists(inner, (*path, key), here)


def _in_list(
    value: list[Any], path: tuple[str, ...], times: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a list of rows itself, or the rows inside of its records."""
    first = value[0] if value else None
    is_envelope = isinstance(first, dict) and (
        _is_columns(first) or (not is_header(list(first)) and len(value) <= _WRAPPED)
    )
    inner = [found for item in value for found in _row_lists(item, path, times)] if is_envelope else []
    if inner:
        yield from inner
    elif value and (isinstance(first, dict | list) or not path):
        yield path, value


def _records(value: Mapping[str, Any]) -> Any:
    """Return the rows of a record of records: columns by row number, as pandas writes, or rows by their time."""
    inner = list(value.values())
    if (
        not inner
        or not all(isinstance(each, dict) and each.keys() == inner[0].keys() for each in inner)
        or not inner[0]
    ):
        return None
    if is_header(list(value)):
        return {name: list(each.values()) for name, each in value.items()}
    if not is_header(list(inner[0])) or _lists(inner[0]):
        return None
    return inner if any(map(_is_time, inner[0])) else [{"time": key, **each} for key, each in value.items()]


def _is_time(name: str) -> bool:
    return field_of(normalize(name)) == "time"


def _lists(value: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {key: inner for key, inner in value.items() if isinstance(inner, list)}


def _is_columns(value: Mapping[str, Any]) -> bool:
    """Return whether a record holds whole columns: `{"t": [...], "o": [...]}`."""
    lists = _lists(value)
    sizes = {len(inner) for inner in lists.values()}
    return is_header(list(lists)) and len(sizes) == 1 and 0 not in sizes


def _chosen(found: list[tuple[tuple[str, ...], Any]], place: str) -> tuple[tuple[str, ...], Any]:
    if len(found) > 1:
        names = ", ".join(".".join(path) or "the top" for path, _ in found[:5])
        raise BadFileError(f"{place} holds {len(found)} lists of rows: {names}.", "Write each into a file of its own.")
    return found[0]


def _columns(rows: Any) -> tuple[list[str], list[Sequence[Any]]]:
    """Return the names of the columns (none for lists) and the columns."""
    if isinstance(rows, dict):
        lists = {key: value for key, value in rows.items() if isinstance(value, list)}
        return list(lists), list(lists.values())
    names = list(rows[0]) if isinstance(rows[0], dict) else []
    kind = dict if isinstance(rows[0], dict) else list
    width = len(rows[0]) if isinstance(rows[0], kind) else 0
    wrong = next((at for at, row in enumerate(rows, 1) if not isinstance(row, kind) or len(row) != width), None)
    if wrong is not None or not width:
        raise ValueError(f"row {wrong or 1} is not a {'record' if names else 'list'} of the first row's length")
    try:
        return names, [[row[name] for row in rows] for name in names] if names else list(
            map(list, zip(*rows, strict=True))
        )
    except KeyError as error:
        raise ValueError(f"a row has no {error}") from error


def _order(document: Any, path: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return the order of columns that a vendor's envelope promises; empty where it promises nothing."""
    if not isinstance(document, dict):
        return ()
    if document.get("code") == "200000":
        return KUCOIN
    if document.get("code") == "0" and width == len(OKX):
        return OKX
    if path == ("result", "list"):  # Bybit; an inverse contract counts its volume in quote currency
        is_inverse = document["result"].get("category") == "inverse"
        return (*FIELDS[:5], "turnover", "volume") if is_inverse else TURNOVER
    return KRAKEN if path[:1] == ("result",) and width == len(KRAKEN) else ()


def _said(document: Any, path: tuple[str, ...], names: Collection[str]) -> Iterator[str]:
    """Yield what a reply says under some names, beside its rows or above them."""
    for key in ("", *path[:-1]):
        document = document.get(key) if key and isinstance(document, dict) else document
        document = document[0] if isinstance(document, list) and 0 < len(document) <= _WRAPPED else document
        if isinstance(document, dict):
            beside = [document, *(inner for inner in document.values() if isinstance(inner, dict))]
            yield from (v for each in beside for name in names if isinstance(v := each.get(name), str))
