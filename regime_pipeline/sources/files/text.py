"""Rows of delimited text: encodings, banners, comments, headers of one line or more, blank lines.

The rows are split by the standard library's `csv`, which keeps every line's number, whatever is wrong with it.
See `documents` for JSON, `columns` for what a column means.
"""

from __future__ import annotations

import codecs
import csv
import re
from typing import Final

from regime_pipeline.sources.files.layouts import FIELDS, UNNAMED, ReadOptions, field_of, is_header, normalize
from regime_pipeline.sources.files.table import BadFileError, Grid

_BANNER_ROWS: Final = 20
_COMMENTS: Final = ("#", "//", "%")
_SEP: Final = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\s*[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*")
_DELIMITERS: Final = ",;\t|"
_PAGES: Final = (b"<!doctype", b"<html", b"<?xml")
_PAGE_BYTES: Final = 200
Rows = list[list[str]]


def read_delimited(content: bytes, place: str, _: ReadOptions) -> Grid:
    """Return the cells of CSV text; empty lines are skipped and keep their numbers.

    Raises
    ------
    BadFileError
        The text cannot be decoded, has no rows, or a row has another number of cells than its header or the first row.
    """
    lines, rows, delimiter, skipped = _split(_decoded(content, place), place)
    at = _header_at(rows)
    header: list[str] = [] if at is None else rows[at]
    body = 0 if at is None else at + 1
    grid = Grid(place, "line", lines[body:], [], is_spreadsheet=delimiter in ";\t")
    if skipped or at:
        grid.notes.append(f"{skipped + (at or 0)} lines before the rows are a banner or comments")
    rows = rows[body:]
    if header:
        rows = _second_headers(grid, rows, header)
    if not rows:
        raise BadFileError(f"{place} has no rows.", "Fetch or export it again.")
    header, rows = _even(grid, header, rows)
    grid.names = header
    grid.columns = list(zip(*rows, strict=True))
    return grid


def _header_at(rows: Rows) -> int | None:
    """Return the row that names the columns: prices among them, or at least the time above rows of numbers."""
    at = next((n for n, row in enumerate(rows[:_BANNER_ROWS]) if is_header(row)), None)
    if at is not None:
        return None if any(_is_data(row) for row in rows[:at]) else at
    is_named = len(rows) > 1 and not _is_data(rows[0]) and _is_data(rows[1])
    return 0 if is_named and any(field_of(normalize(cell)) == "time" for cell in rows[0]) else None


def _decoded(content: bytes, place: str) -> str:
    if content[:_PAGE_BYTES].lstrip().lower().startswith(_PAGES):
        raise BadFileError(
            f"{place} is a web page, not a table.", "Open the address in a browser, and download the data."
        )
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252"]  # spreadsheets write the latter; only names of columns differ
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp1252" or "\x00" not in text:
            return text
    raise BadFileError(f"{place} is not text in UTF-8 or UTF-16.", "Export it as UTF-8 CSV.")


def _split(text: str, place: str) -> tuple[list[int], Rows, str, int]:
    """Return line numbers and cells of every line that is not empty, the delimiter, and how many lines were skipped."""
    lines = text.splitlines()
    start, delimiter = 0, ""
    while start < len(lines) and (not lines[start].strip() or lines[start].lstrip().startswith(_COMMENTS)):
        start += 1
    if start < len(lines) and (said := _SEP.fullmatch(lines[start])):
        start, delimiter = start + 1, said[1]
    delimiter = delimiter or _delimiter(lines[start : start + _BANNER_ROWS])
    reader = csv.reader(lines[start:], delimiter=delimiter, skipinitialspace=delimiter == " ")
    try:
        numbered = [(reader.line_num + start, row) for row in reader if row]
    except csv.Error as error:
        raise BadFileError(f"{place} line {reader.line_num + start}: {error}.", "Export it as plain CSV.") from error
    return [line for line, _ in numbered], [row for _, row in numbered], delimiter, start


def _delimiter(lines: list[str]) -> str:
    """Return what separates the first lines: a header's, or that which most lines have most often.

    Semicolons, tabs and bars win over commas, which then are decimal signs; spaces count where there is nothing else.
    """
    counts = {mark: min((line.count(mark) for line in lines[-5:] if line.strip()), default=0) for mark in _DELIMITERS}
    strong = max(";\t|", key=lambda mark: counts[mark])
    if not any(counts.values()) and all(len(line.split()) >= len(FIELDS) for line in lines[-5:] if line.strip()):
        return " "
    return strong if counts[strong] >= 4 else max(_DELIMITERS, key=lambda mark: sum(line.count(mark) for line in lines))


def _is_data(row: list[str]) -> bool:
    """Return whether most cells are numbers."""
    return sum(bool(_NUMBER.fullmatch(cell)) for cell in row) * 2 > len(row)


def _second_headers(grid: Grid, rows: Rows, header: list[str]) -> Rows:
    """Take further header lines off (a table of several levels: `Ticker`, `Datetime`), and what they say."""
    while (
        rows
        and len(rows[0]) == len(header)
        and normalize(rows[0][0]) in {"ticker", "datetime", "date", "symbol", *UNNAMED}
    ):
        first, values = normalize(rows[0][0]), {cell.strip() for cell in rows[0][1:] if cell.strip()}
        if any(_NUMBER.fullmatch(value) for value in values):
            break
        if first in ("ticker", "symbol"):
            grid.symbols = (*grid.symbols, *sorted(values))
        header[0] = "datetime"  # the first column is the index of such a table
        rows, grid.lines = rows[1:], grid.lines[1:]
        grid.notes.append("a header of several lines is read as one")
    return rows


def _even(grid: Grid, header: list[str], rows: Rows) -> tuple[list[str], Rows]:
    """Leave out what is not a row; refuse rows of another width."""
    rows = _without_blanks(grid, header, rows)
    if not rows:
        raise BadFileError(f"{grid.place} has no rows.", "Fetch or export it again.")
    width = len(header) or len(rows[0])
    widths = set(map(len, rows))
    if header and widths == {width + 1} and not any(row[-1].strip() for row in rows):
        rows = [row[:-1] for row in rows]  # each line ends with a delimiter
        widths = {width}
    if widths == {width}:
        return header, rows
    uneven = next(at for at, row in enumerate(rows) if len(row) != width)
    found = len(rows[uneven])
    if header and len(rows[0]) == found and uneven == 0:
        names = f"its header names {width} columns, its rows have {found}"
        raise BadFileError(
            f"{grid.place} line {grid.lines[0]}: {names}.",
            "Export it again, or correct the header, so that both agree.",
        )
    what = f"{found} cells, not {width} columns as in line {grid.lines[0]}"
    raise BadFileError(
        f"{grid.place} line {grid.lines[uneven]}: {what} ({','.join(rows[uneven])[:60]}).",
        "Export the file again, or remove the line if the file was cut there.",
    )


def _without_blanks(grid: Grid, header: list[str], rows: Rows) -> Rows:
    """Leave out blank rows and repeated headers, and count them."""
    first = [row[0] for row in rows]
    if all(map(str.strip, first)) and (not header or header[0] not in first):
        return rows
    kept = []
    for at, row in enumerate(rows):
        if not row[0].strip() and not any(cell.strip() for cell in row):
            grid.dropped["blank"] = grid.dropped.get("blank", 0) + 1
        elif header and row == header:
            grid.dropped["repeated header"] = grid.dropped.get("repeated header", 0) + 1
        else:
            kept.append(at)
    if len(kept) < len(rows):
        rows, grid.lines = [rows[at] for at in kept], [grid.lines[at] for at in kept]
    return rows
