"""`regime backtest`: verdicts over a span of history beside what came after, as a page, JSON and CSV.

See `services.backtest` for the figures; this module handles options, files and wording.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from regime_pipeline.bootstrap import open_workspace, read_policy
from regime_pipeline.cli.analyze import SnapshotsOption, TimeframeOption
from regime_pipeline.cli.console import COLORS, PARTLY_DONE, err, out, progress_bar
from regime_pipeline.dashboard.components.charts import ORDER
from regime_pipeline.dashboard.components.tables import count
from regime_pipeline.dashboard.formatting import NOTHING
from regime_pipeline.dashboard.report.page import ALL, to_html
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.services.backtest.export import to_csv, to_json
from regime_pipeline.services.backtest.figures import Figures
from regime_pipeline.services.backtest.readers import SnapshotVerdicts, VerdictReader, VerdictRows
from regime_pipeline.services.backtest.runner import Backtest, run_backtest
from regime_pipeline.settings import Settings
from regime_pipeline.storage.snapshots.reader import SnapshotReader
from regime_pipeline.storage.snapshots.store import SnapshotStore


def backtest_command(
    symbols: Annotated[str, typer.Option(help="One symbol, or several with commas: ETH-USDT,BTC-USDT.")],
    start: Annotated[str, typer.Option(help="First hour, ISO-8601 with offset.")],
    end: Annotated[str, typer.Option(help="End (exclusive), ISO-8601 with offset.")],
    timeframe: TimeframeOption = "1h",
    snapshots: SnapshotsOption = "",
    database: Annotated[
        bool, typer.Option("--database", help="Judge the rows of regime_verdicts instead of snapshots.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder for report.html, report.json and rows.csv.")] = Path("backtest"),
) -> None:
    """Judge the verdicts of a span: how they divide, how long they last, what came after; write a report.

    Exit code 3 where hours are missing: the report is of the others.

    Example: regime backtest --symbols ETH-USDT,BTC-USDT --start 2020-03-01T00:00:00Z --end 2020-04-01T00:00:00Z
    """
    if database and snapshots:
        raise UsageError("--database and --snapshots exclude each other.", "Name one of them.")
    settings, names = Settings(), symbols.split(",")
    with _reader(settings, snapshots, database) as reader, progress_bar() as progress:
        bar = progress.add_task("markets", total=len(names))
        found = run_backtest(
            reader, names, start, end, timeframe,
            seed=settings.simulation_seed, tell=lambda: progress.advance(bar),
        )  # fmt: skip
    _write(found, output)
    out.print(_table(found))
    for note in found.notes:
        err.print(f"[yellow]Note:[/] {escape(note)}", highlight=False, markup=True, soft_wrap=True)
    err.print(f"Wrote report.html, report.json and rows.csv to {output}.", highlight=False, soft_wrap=True)
    if not found.is_whole:
        raise typer.Exit(PARTLY_DONE)


@contextmanager
def _reader(settings: Settings, snapshots: str, database: bool) -> Iterator[VerdictReader]:
    if database:
        with open_workspace(settings) as workspace:
            yield VerdictRows(workspace.warehouse)
    else:
        store = SnapshotStore(snapshots or settings.snapshot_root)
        yield SnapshotVerdicts(SnapshotReader(store), read_policy(settings))


def _write(found: Backtest, folder: Path) -> None:
    """Write the three files; all are made before the first is written."""
    files = {"report.html": to_html(found), "report.json": to_json(found), "rows.csv": to_csv(found)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to: {error.strerror}.", "Name another --output.") from error


def _table(found: Backtest) -> Table:
    table = Table(title=f"Backtest {found.window}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("market", no_wrap=True)
    table.add_column("hours", justify="right")
    for verdict in ORDER:
        name = "too little data" if verdict == "INSUFFICIENT_DATA" else verdict.lower().replace("_", " ")
        table.add_column(_folded(name), justify="right", style=COLORS.get(verdict))
    for name in ("hindsight agrees", "true accuracy"):
        table.add_column(_folded(name), justify="right")
    rows = [(ALL, found.overall)] if len(found.markets) > 1 else []
    for title, figures in (*rows, *found.markets.items()):
        table.add_row(title, *_cells(figures))
    return table


def _folded(name: str) -> str:
    """A header with one word a line: Rich would rather cut words than columns apart."""
    return name.replace(" ", "\n")


def _cells(figures: Figures) -> list[str]:
    accuracy = figures.truth.balanced if figures.truth else None
    shares = [figures.verdicts[verdict].share if figures.hours else None for verdict in ORDER]
    return [
        count(figures.hours),
        *(NOTHING if part is None else f"{part:.0%}" for part in (*shares, figures.hindsight.same, accuracy)),
    ]
