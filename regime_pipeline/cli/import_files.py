"""`regime import`: candle files into the candles table, with a report of what they held.

Reading, checking and writing stand in `services`; only arguments, wording and layout belong here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
import typer
from rich import box
from rich.table import Table

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.cli.console import err, out, progress_bar
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.stages import correction_reach
from regime_pipeline.services.chain.workspace import system_clock
from regime_pipeline.services.imports.plan import FileReport, ImportPlan, read_files
from regime_pipeline.services.imports.write import import_candles, settle_price_scales
from regime_pipeline.services.universe import MarketSpec, ensure_market, load_universe
from regime_pipeline.settings import Settings
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.storage.bulk.diff import WriteReport

_LARGEST: Final = 5
_MANY_FILES: Final = 12


def import_command(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, JSON, Parquet, Feather, .gz or .zip; archives as published.")
    ],
    market: Annotated[str, typer.Option(help="Whose candles they are, e.g. BTC-USDT_1m.")],
    layout: Annotated[
        Literal["auto", "kucoin", "lean"], typer.Option(help="Order of the columns where no header names them.")
    ] = "auto",
    columns: Annotated[
        str, typer.Option(help="Columns in file order, e.g. time,open,high,low,close,volume,trades.")
    ] = "",
    timezone: Annotated[str, typer.Option(help="UTC, to accept times without an offset.")] = "",
    price_scale: Annotated[
        int, typer.Option(help="Ticks per unit of quote currency; 0 infers it from the prices.")
    ] = 0,
    drop_unaligned: Annotated[
        bool, typer.Option("--drop-unaligned", help="Leave out bars that open between two bars of the timeframe.")
    ] = False,
    resample: Annotated[
        list[str] | None, typer.Option(help="Also list this timeframe, resampled from the 1m candles; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read, check and report; write nothing.")] = False,
    output_format: Annotated[
        Literal["table", "json"], typer.Option("--format", help="How to print the report.")
    ] = "table",
) -> None:
    """Import candle files: all of them, or nothing when one is refused."""
    options = ReadOptions(
        layout,
        tuple(name.strip() for name in columns.split(",")) if columns else (),
        timezone,
        price_scale,
        drop_unaligned,
    )
    target = Market.parse(market)
    derived = [target.on(timeframe) for timeframe in resample or []]
    if derived and target.timeframe != "1m":
        raise UsageError(f"{derived[0]} cannot be resampled from {target}.", "Import the symbol's 1m candles.")
    plan = _read(files, target, options)
    report = None if dry_run else _write(plan, derived)
    if output_format == "json":
        typer.echo(orjson.dumps(plan_summary(plan, report), option=orjson.OPT_INDENT_2).decode())
        return
    _print_plan(plan, report)


def _read(files: list[Path], market: Market, options: ReadOptions) -> ImportPlan:
    """Read every file, with a progress bar on a terminal's stderr."""
    with progress_bar() as progress:
        return read_files(progress.track(files, description="reading"), market, options, system_clock())


def _write(plan: ImportPlan, derived: list[Market]) -> WriteReport:
    """List the market and its resampled timeframes in markets.toml, then store the candles."""
    settings = Settings()
    _check_span(settings, plan)
    price_scale = _list_markets(settings, plan, derived)
    with open_workspace(settings) as workspace:
        of_symbol = [spec for spec in workspace.universe.specs if spec.market.symbol == plan.market.symbol]
        settle_price_scales(workspace.warehouse, of_symbol)
        run_id = workspace.start_run(config_hash="")
        reach = correction_reach(plan.market, workspace.policy)
        return import_candles(plan, price_scale, workspace.warehouse, run_id, reach)[0]


def _check_span(settings: Settings, plan: ImportPlan) -> None:
    """Refuse candles of which no hour could ever be materialized, before anything is listed or written."""
    if not settings.markets.exists():
        return
    universe = read_universe(settings)
    first_ms, last_ms = plan.span_ms
    if last_ms <= universe.start_ms or (universe.end_ms is not None and first_ms >= universe.end_ms):
        raise UsageError(
            f"The candles ({to_iso(first_ms)} to {to_iso(last_ms)}) lie outside the partitions of {settings.markets}, "
            f"which start {to_iso(universe.start_ms)}.",
            "Give them a project home of their own (export REGIME_HOME=~/regime-btc), or change [partitions] there.",
        )


def _list_markets(settings: Settings, plan: ImportPlan, derived: list[Market]) -> int:
    """Append what markets.toml does not list yet; return the price scale that it lists for the market."""
    ensure_market(settings.markets, MarketSpec(plan.market, "files", plan.candles.price_scale), plan.span_ms)
    price_scale = load_universe(settings.markets).spec(plan.market).price_scale
    for market in derived:
        ensure_market(settings.markets, MarketSpec(market, "resampled", price_scale), plan.span_ms)
    return price_scale


def plan_summary(plan: ImportPlan, report: WriteReport | None) -> dict[str, Any]:
    """Return what the files held and what was written, ready for JSON; times in ISO-8601 UTC.

    Parameters
    ----------
    plan : ImportPlan
        What the files held.
    report : WriteReport or None
        What was written; None after a dry run.
    """
    first_ms, last_ms = plan.span_ms
    return {
        "market": plan.market.key,
        "candles": len(plan.candles),
        "price_scale": plan.candles.price_scale,
        "start": to_iso(first_ms),
        "end": to_iso(last_ms),
        "gaps": [{"start": to_iso(start), "bars": bars} for start, bars in plan.gaps],
        "unknown": [{"start": to_iso(start), "end": to_iso(end)} for start, end in plan.unknown],
        "files": [
            {
                "path": str(file.path),
                "rows": file.rows,
                "first": to_iso(file.first_ms),
                "last": to_iso(file.last_ms),
                "gaps": file.gaps,
                "absent_bars": file.absent_bars,
                "duplicates": file.duplicates,
                "rejects": file.rejects,
            }
            for file in plan.files
        ],
        "candles_written": report.inserted_rows if report else 0,
        "hours_written": report.written_partitions if report else 0,
        "is_dry_run": report is None,
    }


def _print_plan(plan: ImportPlan, report: WriteReport | None) -> None:
    out.print(_files_table(plan))
    absent = sum(bars for _, bars in plan.gaps)
    out.print(f"{len(plan.candles):,} candles, {len(plan.gaps):,} gaps of {absent:,} bars in all, ", end="")
    out.print(f"{sum(f.duplicates for f in plan.files):,} duplicates dropped, ", end="")
    out.print(f"{sum(f.rejects for f in plan.files):,} rejected; {plan.candles.price_scale:,} ticks per unit.")
    for start, bars in sorted(plan.gaps, key=lambda gap: -gap[1])[:_LARGEST]:
        out.print(f"  gap of {bars:,} bars from {to_iso(start)}", highlight=False)
    for start, end in plan.unknown:
        out.print(f"  no file covers {to_iso(start)} to {to_iso(end)}: missing, not a confirmed gap", highlight=False)
    if report is None:
        err.print("Dry run: nothing was written.")
    else:
        err.print(
            f"{report.inserted_rows:,} candles in {report.written_partitions:,} hours written, the others were there."
        )


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
    return [file.path.name, f"{file.rows:,}", *times, f"{file.gaps:,} ({file.absent_bars:,} bars)" if file.gaps else ""]
