"""`regime import`: options and the report on a terminal.

The import itself is `regime_pipeline.importing`, which Python code calls in the same way.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
import typer
from rich import box
from rich.table import Table

from regime_pipeline.cli.console import err, out, printable, progress_bar
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.importing import import_candles
from regime_pipeline.services.imports.plan import FileReport, ImportPlan
from regime_pipeline.services.imports.run import ImportReport

_LARGEST: Final = 5
_MANY_FILES: Final = 12
_SHOWN_NOTES: Final = 8


_FilesArgument = Annotated[
    list[Path],
    typer.Argument(help="CSV, JSON, Parquet, Feather, also as .gz .bz2 .xz or in a .zip (FILE.zip:MEMBER)."),
]
_MarketOption = Annotated[list[str], typer.Option(help="Whose candles they are, e.g. BTC-USDT_1m; once.")]
_LayoutOption = Annotated[
    Literal["auto", "kucoin", "lean"], typer.Option(help="Order of the columns where no header names them.")
]
_ColumnsOption = Annotated[
    str, typer.Option(help="All columns in file order, e.g. time,open,high,low,close,volume,trades.")
]
_TimezoneOption = Annotated[str, typer.Option(help="UTC, to accept times without an offset.")]
_DecimalOption = Annotated[
    str, typer.Option(help="Decimal sign of the numbers: , or . (the other one separates thousands).")
]
_VolumeOption = Annotated[str, typer.Option(help="Column of the base volume, or none for files without volume.")]
_StampsOption = Annotated[str, typer.Option(help="open or close: which end of a bar its time is.")]
_DatesOption = Annotated[str, typer.Option(help="dmy or mdy: order of day and month where the dates do not tell.")]
_PriceScaleOption = Annotated[int, typer.Option(help="Ticks per unit of quote currency; 0 infers it from the prices.")]
_DropUnalignedOption = Annotated[
    bool, typer.Option("--drop-unaligned", help="Leave out bars that open between two bars of the timeframe.")
]
_ResampleOption = Annotated[
    list[str] | None, typer.Option(help="Also list this timeframe, resampled from the 1m candles; repeatable.")
]
_RestateOption = Annotated[
    bool,
    typer.Option("--restate", help="Change stored bars to the files' values; former ones are kept as revisions."),
]
_WholeTruthOption = Annotated[
    bool, typer.Option("--whole-truth", help="Remove stored bars that the files lack; they are kept as revisions.")
]
_AbsentBarsOption = Annotated[
    Literal["gap", "no_trade"] | None,
    typer.Option(help="What absent bars within the files are: gaps, or time without a trade; as the market is listed."),
]
_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Read, decide and report; write nothing.")]
_OutputFormatOption = Annotated[Literal["table", "json"], typer.Option("--format", help="How to print the report.")]


def import_command(
    files: _FilesArgument,
    market: _MarketOption,
    layout: _LayoutOption = "auto",
    columns: _ColumnsOption = "",
    timezone: _TimezoneOption = "",
    decimal: _DecimalOption = "",
    volume: _VolumeOption = "",
    stamps: _StampsOption = "",
    dates: _DatesOption = "",
    price_scale: _PriceScaleOption = 0,
    drop_unaligned: _DropUnalignedOption = False,
    resample: _ResampleOption = None,
    restate: _RestateOption = False,
    whole_truth: _WholeTruthOption = False,
    absent_bars: _AbsentBarsOption = None,
    dry_run: _DryRunOption = False,
    output_format: _OutputFormatOption = "table",
) -> None:
    """Import candle files: all of them, or nothing when one is refused.

    Example: regime import btc.csv --market BTC-USDT_1h --dry-run
    """
    if len(market) > 1:
        raise UsageError(f"--market is given {len(market)} times.", "Import one market at a time.")
    with progress_bar() as progress:
        report = import_candles(
            files,
            market[0],
            resample=resample or (),
            dry_run=dry_run,
            restate=restate,
            whole_truth=whole_truth,
            absent_bars=absent_bars,
            progress=lambda paths: progress.track(paths, description="reading"),
            layout=layout,
            columns=tuple(name.strip() for name in columns.split(",")) if columns else (),
            timezone=timezone,
            decimal=decimal,
            volume=volume,
            stamps=stamps,
            dates=dates,
            price_scale=price_scale,
            is_dropping_unaligned=drop_unaligned,
        )
    if output_format == "json":
        typer.echo(orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2).decode())
        return
    _print_report(report)


def _print_report(report: ImportReport) -> None:
    plan = report.plan
    out.print(_files_table(plan))
    for file in plan.files if len(plan.files) <= _MANY_FILES else ():
        _print_bars(file)
    absent = sum(bars for _, bars in plan.gaps)
    out.print(
        f"{_count(len(plan.candles), 'candle')}, {_count(len(plan.gaps), 'gap')} of {_count(absent, 'bar')} in all, ",
        end="",
    )
    out.print(f"{_count(sum(f.duplicates for f in plan.files), 'duplicate')} dropped, ", end="")
    out.print(f"{sum(f.rejects for f in plan.files):,} rejected; {report.price_scale:,} ticks per unit.")
    for start, bars in sorted(plan.gaps, key=lambda gap: -gap[1])[:_LARGEST]:
        out.print(f"  gap of {_count(bars, 'bar')} from {to_iso(start)}", highlight=False)
    for start, end in plan.unknown:
        out.print(f"  no file covers {to_iso(start)} to {to_iso(end)}: missing, not a confirmed gap", highlight=False)
    _print_outcome(report)


def _count(number: int, thing: str) -> str:
    """Say how many there are: `1 bar`, `2,880 bars`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _print_bars(file: FileReport) -> None:
    """Show the first and last bar as read, and what was decided while reading."""
    for name, bar in (("first", file.first_bar), ("last", file.last_bar)):
        if bar:
            values = ", ".join(f"{key} {value:.15g}" for key, value in bar.items() if key != "open_time")
            out.print(f"  {name} bar {bar['open_time']}: {values}", highlight=False, soft_wrap=True)
    decided = [f"columns: {', '.join(f'{field} = {name}' for field, name in file.columns.items())}"]
    decided += ["newest first: turned round"] if file.is_turned else []
    decided += [f"{rows:,} rows left out: {kind}" for kind, rows in file.dropped.items()]
    for line in [*decided, *file.notes][:_SHOWN_NOTES]:
        out.print(f"  {printable(line)}", highlight=False, markup=False, soft_wrap=True)


def _print_outcome(report: ImportReport) -> None:
    joined = report.joined
    if joined.no_trade:
        err.print(f"{joined.no_trade:,} absent bars count as time without a trade: flat, volume 0.")
    if joined.changed or joined.removed:
        err.print(
            f"{joined.changed:,} stored bars changed, {joined.removed:,} removed; both are kept in candle_revisions."
        )
    if joined.kept:
        err.print(f"{joined.kept:,} stored bars that the files lack stay (--whole-truth removes them).")
    if report.hours_outside:
        err.print(
            f"{report.hours_outside:,} hours lie outside the partitions: stored; widen [partitions] to analyse them."
        )
    if report.written is None:
        err.print("Dry run: nothing was written.")
        said = shlex.join(["regime", *(word for word in sys.argv[1:] if word != "--dry-run")])
        err.print(f"Next: {printable(said)}", markup=False, soft_wrap=True)
        return
    written = report.written
    given = len(report.plan.candles) + joined.no_trade
    there = "" if written.inserted_rows == given else ", the others were there"
    hours = _count(written.written_partitions, "hour")
    err.print(f"{_count(written.inserted_rows, 'candle')} in {hours} written{there}.")
    err.print(f"Next: {report.next_command}", markup=False, soft_wrap=True)


def _files_table(plan: ImportPlan) -> Table:
    """Lay out one row per file; of many the first and last ones."""
    table = Table(title=f"Files of {plan.market}, UTC", title_justify="left", pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_column("file", overflow="fold")
    for name in ("rows", "first open", "last open", "gaps"):
        table.add_column(name, justify="right", no_wrap=True)
    half = _MANY_FILES // 2
    left_out = len(plan.files) - _MANY_FILES
    for file in plan.files[:half] if left_out > 0 else plan.files:
        table.add_row(*_file_cells(file))
    if left_out > 0:
        table.add_row(f"... {left_out} more ...")
        for file in plan.files[-half:]:
            table.add_row(*_file_cells(file))
    return table


def _file_cells(file: FileReport) -> list[str]:
    times = [to_iso(moment)[:16].replace("T", " ") for moment in (file.first_ms, file.last_ms)]
    return [
        file.path.name,
        f"{file.rows:,}",
        *times,
        f"{file.gaps:,} ({_count(file.absent_bars, 'bar')})" if file.gaps else "",
    ]
