"""Rows of CSV text, with or without a header, separated by commas, semicolons or tabs.

What a row means stands in `layouts`; whether it is a candle in `checks`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

import orjson

from regime_pipeline.sources.files.containers import MAX_BYTES
from regime_pipeline.sources.files.layouts import FIELDS, ReadOptions, is_header, positions_by_name, positions_by_order
from regime_pipeline.sources.files.table import EXTRA_HINT, BadFileError, FileTable, pick_columns
from regime_pipeline.sources.files.times import NAIVE_HINT

_KUCOIN_SUCCESS: Final = "200000"
_TODO: Final = "Write [[epoch ms, open, high, low, close, volume], ...]."


def read_json(content: bytes, place: str, options: ReadOptions) -> FileTable:
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
        raise BadFileError(f"{place} contains no list of rows.", _TODO)
    try:
        names, cells = _cells(rows)
        named = names and not options.columns
        positions = (
            positions_by_name(names) if named else positions_by_order(options, len(cells[0]), is_kucoin=is_kucoin)
        )
    except ValueError as error:
        raise BadFileError(f"{place}: {error}.", _TODO) from error
    is_newest_first = is_kucoin or options.layout == "kucoin"
    return FileTable(place, "row", range(1, len(rows) + 1), pick_columns(cells, positions), is_newest_first)


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


MAX_ROWS: Final = 6_000_000
"""Most rows of one file: more than ten years of minutes."""


def read_columnar(content: bytes, place: str, options: ReadOptions) -> FileTable:
    """Return the rows of a Parquet or Feather file; columns go by their names, rows are counted from 1.

    Raises
    ------
    BadFileError
        The reader is not installed, the file is damaged or empty, a column is absent, or times have no offset.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise BadFileError(f"{place} needs pyarrow to be read.", EXTRA_HINT) from error
    try:
        table = _read_parquet(content, place) if content.startswith(b"PAR1") else _read_feather(content, place)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise BadFileError(f"{place} is damaged: {error}.", "Write it again.") from error
    if not table.num_rows:
        raise BadFileError(f"{place} has no rows.", "Write it again.")
    try:
        positions = positions_by_name(options.columns or table.column_names)
        columns = [table.column(at) for at in positions]
    except (ValueError, IndexError) as error:
        raise BadFileError(f"{place}: {error}.", "Rename its columns, or name them with --columns.") from error
    values = {field: _values(column, place, options) for field, column in zip(FIELDS, columns, strict=True)}
    return FileTable(place, "row", range(1, table.num_rows + 1), values, options.layout == "kucoin")


def _read_parquet(content: bytes, place: str) -> Any:
    """Return all columns; how much they unpack to is known before anything is unpacked."""
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(content))
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    _refuse_size(place, file.metadata.num_rows, sum(group.total_byte_size for group in groups))
    texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    return parquet.read_table(io.BytesIO(content), read_dictionary=texts)  # a text is held once, not once a row


def _read_feather(content: bytes, place: str) -> Any:
    """Return all columns, unpacked batch by batch up to the limit."""
    import pyarrow as pa

    reader, batches, unpacked = pa.ipc.open_file(io.BytesIO(content)), [], 0
    for number in range(reader.num_record_batches):
        batches.append(reader.get_batch(number))
        unpacked += batches[-1].nbytes
        _refuse_size(place, sum(batch.num_rows for batch in batches), unpacked)
    return pa.Table.from_batches(batches, reader.schema)


def _refuse_size(place: str, rows: int, unpacked: int) -> None:
    if rows > MAX_ROWS or unpacked > MAX_BYTES:
        raise BadFileError(
            f"{place} has {rows:,} rows and {unpacked:,} bytes unpacked.",
            f"Split it: a file may contain {MAX_ROWS:,} rows and {MAX_BYTES:,} bytes.",
        )


def _values(column: Any, place: str, options: ReadOptions) -> Sequence[Any]:
    """Return a column as numbers or texts, times as epoch milliseconds, absent values as NaN."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        if getattr(column.type, "tz", None) is None and not options.timezone:
            raise BadFileError(f"{place}: its times have no offset.", NAIVE_HINT)
        if column.null_count:
            raise BadFileError(f"{place}: {column.null_count} times are absent.", "Drop those rows and write it again.")
        try:
            column = column.cast(pa.timestamp("ms")).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise BadFileError(f"{place}: its times are finer than a millisecond.", "Write open times.") from error
    values: Sequence[Any] = [float("nan") if value is None else value for value in column.to_pylist()]
    return values


COLUMNS_HINT = "Name the columns in order with --columns time,open,high,low,close,volume (add others by any name)."


def read_delimited(content: bytes, place: str, options: ReadOptions) -> FileTable:
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
    return FileTable(place, "line", lines, pick_columns(rows, positions), options.layout == "kucoin")


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
