"""`regime verify-causality`: recompute a user's own candles in other ways and say whether any row changed.

The ways themselves stand in `services.causality`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.table import Table

from regime_pipeline.cli.console import PARTLY_DONE, out
from regime_pipeline.domain.market import Market
from regime_pipeline.null_data import default_null_table, load_null_table
from regime_pipeline.policy import default_policy, load_policy
from regime_pipeline.services.causality import CausalityReport, verify_causality
from regime_pipeline.services.import_plan import read_files
from regime_pipeline.services.workspace import system_clock
from regime_pipeline.sources.files.layouts import ReadOptions


def verify_command(
    files: Annotated[list[Path], typer.Argument(help="Candle files, as `regime import` takes them.")],
    market: Annotated[str, typer.Option(help="Whose candles they are, e.g. BTC-USDT_1h.")],
    policy: Annotated[Path | None, typer.Option(help="A policy.toml of your own.")] = None,
    null_table: Annotated[Path | None, typer.Option(help="The null table made for that policy.")] = None,
    drop_unaligned: Annotated[
        bool, typer.Option("--drop-unaligned", help="Leave out bars that open between two bars of the timeframe.")
    ] = False,
    cuts: Annotated[int, typer.Option(min=1, max=100, help="Places at which the candles are cut.")] = 5,
    output_format: Annotated[
        Literal["table", "json"], typer.Option("--format", help="How to print the report.")
    ] = "table",
) -> None:
    """Verify that no regime and no verdict of your candles depends on later candles; exit code 3 if one does.

    Example: regime verify-causality BTCUSDT-1h-*.zip --market BTC-USDT_1h
    """
    plan = read_files(files, Market.parse(market), ReadOptions(is_dropping_unaligned=drop_unaligned), system_clock())
    report = verify_causality(
        plan.candles,
        load_policy(policy) if policy else default_policy(),
        load_null_table(null_table) if null_table else default_null_table(),
        cuts,
    )
    if output_format == "json":
        content = {**asdict(report), "is_causal": report.is_causal}
        typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(report)
    if not report.is_causal:
        raise typer.Exit(PARTLY_DONE)


def _print(report: CausalityReport) -> None:
    table = Table(
        title=f"{report.market}: {report.candles:,} candles, policy {report.policy_hash}", title_justify="left"
    )
    for name in ("output", "recomputed with", "rows", "columns", "rows that differ", "first differences"):
        table.add_column(name, justify="right" if name in ("rows", "columns", "rows that differ") else "left")
    for check in report.checks:
        rows = f"{check.rows:,}" if check.rows else "too few candles"
        said = "; ".join(check.examples)
        table.add_row(check.output, check.name, rows, str(check.columns), f"{check.differing:,}", said)
    out.print(table)
    verdict = "[green]No row depends on the future.[/]" if report.is_causal else "[red]Rows depend on the future.[/]"
    out.print(verdict)
