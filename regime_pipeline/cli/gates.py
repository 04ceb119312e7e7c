"""`regime gates`: stop a grid, check its quick stops, follow the restart gates bar by bar.

See `domain.restart_gates` and `services.grids` for the rules.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import PARTLY_DONE, out
from regime_pipeline.cli.names import MarketName, named_market
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.graduation import has_graduated
from regime_pipeline.domain.grids.named_conditions import condition_of
from regime_pipeline.domain.market_data.market import HOUR_MS, parse_symbol
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.grids import check_quick_stops, stop_grid
from regime_pipeline.services.queries.advice import advice_frame, newest_advice
from regime_pipeline.services.restarts import gates_now, restart_grid
from regime_pipeline.settings import Settings

gates_app = typer.Typer(name="gates", help="Stops of grids and the gates of their restart.", no_args_is_help=True)


@gates_app.command("stop")
def stop_command(
    symbol: Annotated[str, typer.Argument(help="BASE-QUOTE, for example ETH-USDT.")],
    why: Annotated[str, typer.Option(help="Reason; kept in the history.")],
    who: Annotated[str, typer.Option(help="Who stops it.")] = "",
) -> None:
    """Stop a grid now: it is disabled, and its restart gates count from here.

    Example: regime gates stop ETH-USDT --why "news"
    """
    with open_workspace(Settings()) as workspace:
        stop = stop_grid(workspace, parse_symbol(symbol), who=who or getpass.getuser(), why=why)
    out.print(f"Stopped the grid of {stop.symbol} at {to_iso(stop.stopped_at_ms)}.", highlight=False)
    out.print("No new orders are placed; closing what was bought is a separate decision.")
    out.print(f"Its restart gates count from now: `regime gates show {stop.symbol}`.", highlight=False, soft_wrap=True)


@gates_app.command("restart")
def restart_command(
    market: MarketName,
    why: Annotated[str, typer.Option(help="Reason; kept in the history.")] = "the restart gates permit it",
    who: Annotated[str, typer.Option(help="Who restarts it.")] = "",
) -> None:
    """Start the probationary grid that the gates permit; it ends the stop.

    Refused while the gates do not permit it, with what they wait for.

    Example: regime gates restart ETH-USDT
    """
    with open_workspace(Settings()) as workspace:
        config = restart_grid(workspace, named_market(workspace, market), who=who or getpass.getuser(), why=why)
    edges = f"{config.lower:f} to {config.upper:f}, {config.levels} levels, {config.allocation_quote:f} of capital"
    out.print(f"Started the probationary {config}: {edges}.", highlight=False, soft_wrap=True)
    out.print(f"`regime gates show {config.symbol}` follows its graduation.", highlight=False)


@gates_app.command("check")
def check_command(
    market: MarketName,
    base_share: Annotated[
        list[float] | None, typer.Option(min=0, max=1, help="Base held over everything, per bar, oldest first.")
    ] = None,
    drawdown: Annotated[float, typer.Option(min=0, help="Highest equity less equity now, quote currency.")] = 0.0,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the grid when a trigger is met.")] = False,
) -> None:
    """Judge the quick stops by the newest stored hour; exit code 3 when one is met.

    Example: regime gates check ETH-USDT_1h --drawdown 12.5 --stop
    """
    with open_workspace(Settings()) as workspace:
        place = named_market(workspace, market)
        checks = check_quick_stops(workspace, place, base_shares=base_share or (), drawdown_quote=drawdown)
        met = [made for made in checks if made.is_met]
        if met and stop:
            why = " ".join(made.sentence for made in met)
            cause = "+".join(made.name for made in met)
            stop_grid(workspace, place.symbol, who="quick stops", why=why, cause=cause)
    for made in checks:
        out.print(Text("STOP" if made.is_met else "ok  ", style="red" if made.is_met else "green"), made.sentence)
    if met:
        raise typer.Exit(PARTLY_DONE)


@gates_app.command("show")
def show_command(market: MarketName) -> None:
    """Print the stop in force and its gates, every condition with value and threshold, or how probation goes.

    Example: regime gates show ETH-USDT
    """
    with open_workspace(Settings()) as workspace:
        place = named_market(workspace, market)
        found = gates_now(workspace, place)
        advice = newest_advice(workspace, place) if found is None else None
        grids = workspace.warehouse.grids.history(place.symbol) if found is None else ()
    if found is None:
        _print_probation(str(place), advice or {}, grids[-1] if grids else None)
        return
    document = found.document()
    out.print(f"{escape(str(place))}: [bold]{found.gate_state}[/]", highlight=False, markup=True)
    out.print(f"  {document['sentence']}", highlight=False, soft_wrap=True)
    _print_checks(document["gate_checks"], lambda made: f"gate {made['gate']}")
    if found.restart_grid is not None:
        out.print(f"  {found.restart_grid['sentence']}", highlight=False, soft_wrap=True)
        out.print_json(data=found.restart_grid["grid"])


def _print_probation(market: str, advice: dict[str, Any], grid: GridConfig | None) -> None:
    """Say that no stop is in force, and what a probationary grid has shown."""
    hour = f"{advice['hour_start']:%Y-%m-%dT%H:%M:%SZ}"
    out.print(f"{escape(market)} {hour}: no stop is in force.", highlight=False, soft_wrap=True)
    if grid is not None and grid.origin == "RESTART" and advice["config_version"] != grid.version:
        first = to_iso((grid.valid_from_ms // HOUR_MS + 1) * HOUR_MS)
        out.print(
            f"  The probationary grid of version {grid.version} started {to_iso(grid.valid_from_ms)}; "
            f"its graduation is judged by closed hours, the first of them at {first}.",
            highlight=False,
            soft_wrap=True,
        )
        return
    checks = advice["graduation"]
    if checks:
        state = "has graduated" if has_graduated([condition_of(made) for made in checks]) else "is on probation"
        out.print(f"  The grid of version {advice['config_version']} {state}:", highlight=False)
        _print_checks(checks, lambda _: "graduation")


def _print_checks(checks: Sequence[dict[str, Any]], label: Callable[[dict[str, Any]], str]) -> None:
    for made in checks:
        outcome = Text("met    ", style="green") if made["is_met"] else Text("not met", style="red")
        out.print(Text(f"  {label(made)}"), outcome, made["sentence"])


@gates_app.command("log")
def log_command(
    market: MarketName,
    hours: Annotated[int, typer.Option(min=1, max=10_000, help="Newest hours shown.")] = 48,
) -> None:
    """List the gates hour by hour: state, hold, and the conditions that were not met.

    Example: regime gates log ETH-USDT_1h --hours 72
    """
    with open_workspace(Settings()) as workspace:
        frame = advice_frame(workspace, named_market(workspace, market), hours)
    table = Table(pad_edge=False)
    for header in ("hour", "state", "bars", "held", "not met"):
        table.add_column(header)
    for row in frame.to_dict("records"):
        table.add_row(*_cells(row))
    out.print(table)


def _cells(row: dict[Any, Any]) -> list[str]:
    missed = ", ".join(made["name"] for made in row["gate_checks"] if not made["is_met"])
    counts = (str(row["gate_bars"]), str(row["gate_held"]))
    return [f"{row['hour_start']:%Y-%m-%d %H:%M}", row["gate_state"], *counts, missed]
