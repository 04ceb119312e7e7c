"""Rows of JSON: lists of lists or of records, wherever they are in a vendor's reply, and JSON lines.

See `text` for text, `columnar` for Parquet, `columns` for what a column means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from regime_pipeline.sources.files.layouts import FIELDS, KRAKEN, KUCOIN, OKX, TURNOVER, ReadOptions, is_header
from regime_pipeline.sources.files.table import BadFileError, Grid

_TODO: Final = "Write [[epoch ms, open, high, low, close, volume], ...]."
_DEPTH: Final = 5
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
    found = list(_row_lists(parsed, ()))
    if not found:
        raise BadFileError(f"{place} contains no list of rows.", _TODO)
    path, rows = _chosen(found, place)
    try:
        names, columns = _columns(rows)
    except ValueError as error:
        raise BadFileError(f"{place}: {error}.", _TODO) from error
    order = () if names or options.columns else _order(parsed, path, len(columns))
    symbols = tuple(_symbols(parsed, path))
    return Grid(place, "row", range(1, len(columns[0]) + 1), columns, names, order, symbols=symbols)


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


def _row_lists(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the place and content of everything in a document that can be rows."""
    if isinstance(value, list):
        if value and (isinstance(value[0], dict | list) or not path):
            yield path, value
    elif isinstance(value, dict):
        if _is_columns(value):
            yield path, value
        elif len(path) < _DEPTH:
            for key, inner in value.items():
                yield from _row_lists(inner, (*path, key))


def _is_columns(value: Mapping[str, Any]) -> bool:
    """Return whether a record holds whole columns: `{"t": [...], "o": [...]}`."""
    lists = {key: inner for key, inner in value.items() if isinstance(inner, list)}
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


def _symbols(document: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield what a reply calls its market: a name beside the rows, or the key under which they stand."""
    if path:
        yield path[-1]
    for key in ("", *path[:-1]):
        document = document.get(key) if key else document
        if isinstance(document, dict):
            yield from (v for name in _NAMES_OF_MARKETS if isinstance(v := document.get(name), str))
