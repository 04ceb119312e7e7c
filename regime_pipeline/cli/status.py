"""`regime status`: what every market does now, what needs attention first.

See `services.queries.overview` for the rows; this module prints them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import out
from regime_pipeline.cli.names import named_market
from regime_pipeline.cli.output import Format, FormatOption, OutputOption, write_document, write_frame
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.overview import overview
from regime_pipeline.services.restarts import nearness_to_an_hour
from regime_pipeline.settings import Settings

_STYLES: Final = {"RANGE_OK": "green", "TREND": "red", "TRANSITION": "red", "RANGE_WEAK": "yellow"}
_MINUTE_S: Final = 60


def status_command(
    markets: Annotated[list[str] | None, typer.Argument(help="Markets or symbols; all by default.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh the screen until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option(min=1, max=3_600, help="Seconds between two looks of --watch.")] = 30,
    form: FormatOption = Format.TABLE,
    output: OutputOption = "-",
) -> None:
    """Show what every market does now, and what needs attention first.

    Verdict and since when, confidence, how long the range holds, the price against the grid, advice, age of the data.

    Example: regime status --watch
    """
    with open_workspace(Settings()) as workspace:
        if watch:
            _watch(workspace, markets or [], every)
            return
        rows = _rows(workspace, markets or [])
        now_ms = workspace.clock()
    if form == Format.TABLE and output == "-":
        out.print(screen(rows, now_ms))
    elif form == Format.JSON:
        write_document(rows, output)
    else:
        import pandas as pd  # it takes a second to import

        write_frame(pd.DataFrame(rows), form, output, ())


def _rows(ws: Workspace, names: list[str]) -> list[dict[str, Any]]:
    rows = overview(ws, [named_market(ws, name) for name in names])
    if not rows:
        raise MissingDataError("Nothing is stored of any market asked for.", "Try `regime demo`, or `regime import`.")
    return rows


def _watch(ws: Workspace, names: list[str], every: int) -> None:
    """Print the screen again and again in place; Ctrl-C ends it."""
    with Live(screen(_rows(ws, names), ws.clock()), console=out, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(every)
                live.update(screen(_rows(ws, names), ws.clock()), refresh=True)
        except KeyboardInterrupt:
            return


def screen(rows: list[dict[str, Any]], now_ms: int) -> RenderableType:
    """Lay out rows of `overview`: what needs attention in sentences, then the table as far as the width allows."""
    asked = [Text(f"{name_of(row)}: {sentence_of(row)}") for row in _one_per_symbol(rows)]
    head = [Text("Needs attention", style="bold"), *asked, Text("")] if asked else []
    return Group(*head, _table(rows, now_ms))


def _one_per_symbol(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that need attention: of a symbol's markets that ask for the same, the hourly one or the nearest to it."""
    chosen: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted((row for row in rows if row["attention"]), key=lambda r: nearness_to_an_hour(_market(r))):
        chosen.setdefault((row["attention"], row["symbol"]), row)
    return [row for row in rows if any(row is found for found in chosen.values())]


def _market(row: dict[str, Any]) -> Market:
    return Market(row["symbol"], row["timeframe"])


def _table(rows: list[dict[str, Any]], now_ms: int) -> Table:
    headers = [name for name, (width, _) in _COLUMNS.items() if out.width >= width]
    table = Table(pad_edge=False, box=None, collapse_padding=True)
    for header in headers:
        table.add_column(header, no_wrap=header != "do", overflow="fold")
    for row in rows:
        cells = (_COLUMNS[header][1](row, now_ms) for header in headers)
        verdict = row["verdict"]
        table.add_row(*(Text(cell, style=_STYLES.get(verdict, "") if cell == verdict else "") for cell in cells))
    return table


def name_of(row: dict[str, Any]) -> str:
    """Return the market's name."""
    return f"{row['symbol']}_{row['timeframe']}"


def sentence_of(row: dict[str, Any]) -> str:
    """Say in a sentence with numbers why a row needs attention, and what to do."""
    name, grid = row["symbol"], f"{_number(row['grid_lower'])} to {_number(row['grid_upper'])}"
    if row["attention"] == "OUTSIDE":
        far = f"{abs(row['edge_distance_pct']):.1f} %"
        atr = "" if row["edge_distance_atr"] is None else f", {abs(row['edge_distance_atr']):.1f} ATR"
        since = f" since {row['outside_since']}" if row["outside_since"] else ""
        advice = f" Advice: {row['action']}." if row["action"] else ""
        return f"{_number(row['close'])} is {row['grid_position']} its grid {grid} by {far}{atr}{since}.{advice}"
    if row["attention"] == "RESTART":
        return f"a restart is permitted until {row['permitted_until']}: `regime gates restart {name}`."
    if row["attention"] == "ACT":
        return f"{row['action']} (verdict {row['verdict']}): `regime grid advice {name_of(row)}` says why."
    return f"its newest close is {_age(row['data_age_seconds'])} old: `regime doctor` says why."


def _todo(row: dict[str, Any]) -> str:
    """The last column: what to do with the grid, or until when there will be no verdict."""
    if row["grid"] == "stopped":
        state = "restart permitted" if row["attention"] == "RESTART" else row["gate_state"].replace("_", " ").lower()
        return f"stopped, {state}"
    if row["verdict_expected_at"]:
        return f"verdict from {row['verdict_expected_at'][:16]}Z"
    if row["grid"] == "none":
        return "no grid"
    return f"{row['action'] or '-'}{' (stale)' if row['advice_stale'] else ''}"


def _short(verdict: str) -> str:
    return "no verdict" if verdict == "INSUFFICIENT_DATA" else verdict


def _grid(row: dict[str, Any]) -> str:
    if row["grid"] == "none":
        return "-"
    distance = row["edge_distance_pct"]
    return row["grid"] if distance is None else f"{row['grid']}, {distance:+.1f} %"


def _ago(row: dict[str, Any], now_ms: int) -> str:
    return "-" if row["since"] is None else _age((now_ms - to_ms(row["since"])) // 1000)


def _age(seconds: int | None) -> str:
    """A span in its largest unit: 40m, 14h, 3d."""
    if seconds is None:
        return "-"
    minutes = max(seconds, 0) // _MINUTE_S
    for size, unit in ((1_440, "d"), (60, "h")):
        if minutes >= 2 * size:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


_Cell = Callable[[dict[str, Any], int], str]
_COLUMNS: Final[dict[str, tuple[int, _Cell]]] = {
    "market": (0, lambda row, _: name_of(row)),
    "verdict": (0, lambda row, _: _short(row["verdict"] or "-")),
    "since": (72, _ago),
    "sure": (0, lambda row, _: _percent(row["confidence"])),
    "holds 24 h": (64, lambda row, _: _percent(row["hold_24h"])),
    "72 h": (80, lambda row, _: _percent(row["hold_72h"])),
    "close": (100, lambda row, _: _number(row["close"])),
    "in range": (100, lambda row, _: row["range_position"] or "-"),
    "grid": (100, lambda row, _: _grid(row)),
    "age": (100, lambda row, _: _age(row["data_age_seconds"])),
    "do": (0, lambda row, _: _todo(row)),
}
"""Columns of the table: the width of the terminal from which on they are shown, and what they say of a row."""


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
