"""How the command line speaks: results on stdout, progress on a terminal's stderr, errors in a sentence.

No command belongs here.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from regime_pipeline.domain.layout import VERDICTS
from regime_pipeline.domain.window import to_iso
from regime_pipeline.services.summary import MarketSummary

OK, DATA_MISSING, USAGE, PARTLY_DONE = 0, 1, 2, 3
"""Exit codes."""

out = Console()
err = Console(stderr=True)

COLORS = {"RANGE_OK": "green", "RANGE_WEAK": "yellow", "TREND": "red", "TRANSITION": "magenta"}


def printable(text: str) -> str:
    """Return a text that may quote a foreign file, with the characters that would steer a terminal spelled out."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def progress_bar() -> Progress:
    """Return a progress bar for stderr, silent where stderr is no terminal."""
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


def summary_table(summaries: Sequence[MarketSummary], title: str) -> Table:
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


def _summary_cells(summary: MarketSummary) -> list[str]:
    if summary.as_of_ms is None:
        return [str(summary.market), "0", *[""] * len(VERDICTS)]
    shares = [f"{summary.shares[verdict]:.0%}" for verdict in (*VERDICTS[1:], VERDICTS[0])]
    return [str(summary.market), str(summary.hours), *shares]


def newest_lines(summaries: Sequence[MarketSummary]) -> str:
    """Each market's newest verdict with its confidence and the factor that decided it, one line each."""
    return "\n".join(f"{summary.market!s:<16} {_newest(summary)}" for summary in summaries)


def _newest(summary: MarketSummary) -> str:
    if summary.as_of_ms is None:
        return "nothing materialized yet"
    color = COLORS.get(summary.verdict, "dim")
    said = f"[{color}]{summary.verdict}[/] {summary.confidence:.2f}" if color != "dim" else summary.verdict
    return f"{to_iso(summary.as_of_ms)} {said}: {summary.reason}"


def print_summaries(summaries: Sequence[MarketSummary], title: str) -> None:
    """Print the table of verdict shares and the newest verdicts with their reasons."""
    out.print(summary_table(summaries, title))
    out.print("\n[bold]Newest verdicts, and why[/]")
    out.print(newest_lines(summaries), highlight=False, soft_wrap=True)
