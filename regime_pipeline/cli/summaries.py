"""The verdicts of markets in short: shares of each, the newest one and why.

See `services.chain.summary` for how they are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from regime_pipeline.cli.console import COLORS, out
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.chain.summary import MarketVerdicts


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
