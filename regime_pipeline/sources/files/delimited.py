"""Rows of CSV text, with or without a header, separated by commas, semicolons or tabs.

What a row means stands in `layouts`; whether it is a candle in `checks`.
"""

from __future__ import annotations

import csv

from regime_pipeline.sources.files.layouts import ReadOptions, is_header, positions_by_name, positions_by_order
from regime_pipeline.sources.files.table import BadFileError, Table, pick_columns

COLUMNS_HINT = "Name the columns in order with --columns time,open,high,low,close,volume (add others by any name)."


def read_delimited(content: bytes, place: str, options: ReadOptions) -> Table:
    """Return the rows of CSV text; empty lines are skipped and keep their numbers.

    Raises
    ------
    BadFileError
        The text is not UTF-8, has no rows, lacks a column, or a row has another number of columns than the first.
    """
    lines, rows = _split(content, place)
    header = rows[0] if rows and is_header(rows[0]) else None
    if header is not None:
        lines, rows = lines[1:], rows[1:]
    if not rows:
        raise BadFileError(f"{place} has no rows.", "Fetch or export it again.")
    width = len(rows[0])
    uneven = next((line for line, row in zip(lines, rows, strict=True) if len(row) != width), None)
    if uneven is not None:
        raise BadFileError(
            f"{place} line {uneven}: not {width} columns as in line {lines[0]}.", "Export the file again."
        )
    try:
        named = header is not None and not options.columns
        positions = positions_by_name(header or ()) if named else positions_by_order(options, width)
    except ValueError as error:
        raise BadFileError(f"{place}: {error}.", COLUMNS_HINT) from error
    if max(positions) >= width:
        names = len(header or ())
        raise BadFileError(f"{place}: its header names {names} columns, its rows have {width}.", "Export it again.")
    return Table(place, "line", lines, pick_columns(rows, positions), options.layout == "kucoin")


def _split(content: bytes, place: str) -> tuple[list[int], list[list[str]]]:
    """Return line numbers and cells of every line that is not empty."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFileError(f"{place} is not text in UTF-8 ({error.reason}).", "Export it as UTF-8 CSV.") from error
    first = text[: text.find("\n") + 1] or text
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        numbered = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise BadFileError(f"{place} line {reader.line_num}: {error}.", "Export it as plain CSV.") from error
    return [line for line, _ in numbered], [row for _, row in numbered]
