"""How the command line speaks: results on stdout, progress on a terminal's stderr, errors in a sentence.

See the module of each command for what it prints.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.chain.summary import MarketVerdicts
from regime_pipeline.services.queries.json_records import records


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
    if form == Format.JSON:
        return orjson.dumps(records(frame), option=orjson.OPT_INDENT_2) + b"\n"
    flat = frame.copy(deep=False)
    for name in (name for name in frame if _is_nested(frame[name])):
        flat[name] = frame[name].map(_json_text)
    if form == Format.CSV:
        return flat.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ").encode()
    try:
        return bytes(flat.to_parquet(index=False))
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow.", "pip install 'regime-pipeline[parquet]'") from error


def _is_nested(column: pd.Series) -> bool:
    return column.dtype == object and len(column) > 0 and isinstance(column.iloc[0], list | dict)


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


OK, DATA_MISSING, USAGE, PARTLY_DONE = 0, 1, 2, 3
"""Exit codes."""

out = Console(markup=False)
err = Console(stderr=True, markup=False)
"""Neither reads `[...]` in a text as markup: names and reasons that users stored are printed as they are.

A line that does use markup says so with `markup=True`, and escapes what it quotes.
"""

COLORS = {"RANGE_OK": "green", "RANGE_WEAK": "yellow", "TREND": "red", "TRANSITION": "magenta"}


def printable(text: str) -> str:
    """Return a text that may quote a foreign file, with the characters that would steer a terminal spelled out."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def progress_bar() -> Progress:
    """Return a progress bar for stderr, silent where stderr is not a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    )


def summary_table(summaries: Sequence[MarketVerdicts], title: str) -> Table:
    """Lay out one row per market: hours and verdict shares."""
    table = Table(title=title, title_justify="left", show_lines=False, pad_edge=False)
    table.add_column("market", no_wrap=True)
    table.add_column("hours", justify="right")
    for verdict in VERDICTS[1:]:
        table.add_column(verdict.lower().replace("_", " "), justify="right", style=COLORS[verdict])
    table.add_column("too little data", justify="right", style="dim")
    for summary in summaries:
        table.add_row(*_summary_cells(summary))
    return table


def _summary_cells(summary: MarketVerdicts) -> list[str]:
    if summary.as_of_ms is None:
        return [str(summary.market), "0", *[""] * len(VERDICTS)]
    shares = [f"{summary.shares[verdict]:.0%}" for verdict in (*VERDICTS[1:], VERDICTS[0])]
    return [str(summary.market), str(summary.hours), *shares]


def newest_lines(summaries: Sequence[MarketVerdicts]) -> str:
    """Each market's newest verdict with its confidence and the factor that decided it, one line each."""
    return "\n".join(f"{summary.market!s:<16} {_newest(summary)}" for summary in summaries)


def _newest(summary: MarketVerdicts) -> str:
    if summary.as_of_ms is None:
        return "nothing materialized yet"
    color = COLORS.get(summary.verdict, "dim")
    said = f"[{color}]{summary.verdict}[/] {summary.confidence:.2f}" if color != "dim" else summary.verdict
    return f"{to_iso(summary.as_of_ms)} {said}: {escape(summary.reason)}"


def print_summaries(summaries: Sequence[MarketVerdicts], title: str) -> None:
    """Print the table of verdict shares and the newest verdicts with their reasons."""
    out.print(summary_table(summaries, title))
    out.print("\n[bold]Latest verdicts, and why[/]", markup=True)
    out.print(newest_lines(summaries), highlight=False, soft_wrap=True, markup=True)
