"""Rows of Parquet and Feather files, by the optional reader.

What a row means stands in `layouts`; whether it is a candle in `checks`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from regime_pipeline.sources.files.layouts import FIELDS, ReadOptions, positions_by_name
from regime_pipeline.sources.files.table import EXTRA_HINT, BadFileError, Table
from regime_pipeline.sources.files.times import NAIVE_HINT


def read_columnar(content: bytes, place: str, options: ReadOptions) -> Table:
    """Return the rows of a Parquet or Feather file; columns go by their names, rows are counted from 1.

    Raises
    ------
    BadFileError
        The reader is not installed, the file is damaged or empty, a column is absent, or times have no offset.
    """
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ImportError as error:
        raise BadFileError(f"{place} needs pyarrow to be read.", EXTRA_HINT) from error
    read = parquet.read_table if content.startswith(b"PAR1") else feather.read_table
    try:
        table = read(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise BadFileError(f"{place} is damaged: {error}.", "Write it again.") from error
    if not table.num_rows:
        raise BadFileError(f"{place} has no rows.", "Write it again.")
    try:
        positions = positions_by_name(options.columns or table.column_names)
    except ValueError as error:
        raise BadFileError(f"{place}: {error}.", "Rename its columns, or name them with --columns.") from error
    columns = {field: _values(table.column(at), place, options) for field, at in zip(FIELDS, positions, strict=True)}
    return Table(place, "row", range(1, table.num_rows + 1), columns, options.layout == "kucoin")


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
