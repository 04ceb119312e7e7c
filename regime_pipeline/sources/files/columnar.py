"""Parquet and Feather files, by pyarrow, with their sizes known before they are unpacked.

See `text` for text, `documents` for JSON, `columns` for what a column means.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

from regime_pipeline.sources.files.containers import MAX_BYTES
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.table import EXTRA_HINT, BadFileError, Grid

MAX_ROWS: Final = 6_000_000
"""Most rows of one file: more than ten years of minutes."""


def read_columnar(content: bytes, place: str, options: ReadOptions) -> Grid:
    """Return the columns of a Parquet or Feather file; rows are counted from 1.

    Raises
    ------
    BadFileError
        The reader is not installed, the file is damaged or empty, or times have no offset.
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
    columns = [_values(column, place, options) for column in table.columns]
    return Grid(place, "row", range(1, table.num_rows + 1), columns, list(table.column_names))


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
            f"Split it: a file may hold {MAX_ROWS:,} rows and {MAX_BYTES:,} bytes.",
        )


def _values(column: Any, place: str, options: ReadOptions) -> Sequence[Any]:
    """Return a column as numbers or texts, times as epoch milliseconds, absent values as NaN."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        if column.null_count or (zone is None and not options.timezone):  # refused by row, if it is the time
            return ["" if value is None else str(value) for value in column.to_pylist()]
        try:
            column = column.cast(pa.timestamp("ms", zone)).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise BadFileError(f"{place}: its times are finer than a millisecond.", "Write open times.") from error
    elif (pa.types.is_floating(kind) or pa.types.is_integer(kind)) and not column.null_count:
        values: Sequence[Any] = column.to_numpy().tolist()
        return values
    return [float("nan") if value is None else value for value in column.to_pylist()]
