"""Results in the forms that are asked for: table, JSON, CSV or Parquet, to the terminal or a file.

See `console` for sentences and errors.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer
from rich.table import Table

from regime_pipeline.cli.console import out
from regime_pipeline.domain.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

_FORMULA: Final = ("=", "+", "-", "@", "\t")
_NUMBER: Final = re.compile(r"[+-]?[0-9.]+(?:e[+-]?[0-9]+)?", re.IGNORECASE)


class Format(StrEnum):
    """Forms of output."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


FormatOption = Annotated[Format, typer.Option("--format", help="Form of the output.")]
OutputOption = Annotated[str, typer.Option(help="File, or - for stdout.")]


def write_frame(frame: pd.DataFrame, form: Format, output: str, shown: Sequence[str], title: str = "") -> None:
    """Write every column of a frame in a form; a table shows the columns named.

    Raises
    ------
    UsageError
        Parquet to stdout, a table to a file, or the file cannot be written.
    """
    if (form, output) == (Format.PARQUET, "-"):
        raise UsageError("Parquet is binary.", "Name a file with --output.")
    if form == Format.TABLE:
        if output != "-":
            raise UsageError("A table is for the terminal.", "Choose --format json, csv or parquet for a file.")
        out.print(_table(frame, shown, title))
        return
    _write(_encoded(frame, form), output)


def write_document(document: Any, output: str) -> None:
    """Write a JSON document, indented."""
    _write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n", output)


def write_text(text: str, output: str) -> None:
    """Write a text, with the end of its last line."""
    _write(f"{text.rstrip()}\n".encode(), output)


def _encoded(frame: pd.DataFrame, form: Format) -> bytes:
    from regime_pipeline.services.queries.json_records import records  # pandas takes a second to import

    if form == Format.JSON:
        return orjson.dumps(records(frame), option=orjson.OPT_INDENT_2) + b"\n"
    flat = frame.copy(deep=False)
    for name in (name for name in frame if _is_nested(frame[name])):
        flat[name] = frame[name].map(_json_text)
    if form == Format.CSV:
        for name in flat.select_dtypes(["object", "str"]):
            flat[name] = flat[name].map(_no_formula)
        return flat.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ").encode()
    try:
        return bytes(flat.to_parquet(index=False))
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow.", "pip install 'regime-pipeline[parquet]'") from error


def _is_nested(column: pd.Series) -> bool:
    return column.dtype == object and len(column) > 0 and isinstance(column.iloc[0], list | dict)


def _no_formula(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it, which spreadsheets do not show."""
    is_formula = isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def _json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _write(content: bytes, output: str) -> None:
    if output == "-":
        sys.stdout.write(content.decode())
        return
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.", "Name another file.") from error


def _table(frame: pd.DataFrame, shown: Sequence[str], title: str) -> Table:
    import pandas as pd

    from regime_pipeline.services.queries.json_records import records

    table = Table(title=title, title_justify="left", pad_edge=False)
    for name in shown:
        is_number = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left", no_wrap=True)
    for row in records(frame[list(shown)]):
        table.add_row(*(_cell(row[name]) for name in shown))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
