"""`regime gates`: stop a grid, check its quick stops, follow the restart gates bar by bar.

See `domain.restart_gates` and `services.grids` for the rules.
"""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import PARTLY_DONE, out
from regime_pipeline.domain.market_data.market import Market, parse_symbol
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.grids import advice_frame, check_quick_stops, newest_advice, stop_grid
from regime_pipeline.settings import Settings

MarketName = Annotated[str, typer.Argument(help="SYMBOL_TIMEFRAME, for example ETH-USDT_1h.")]

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
    out.print("`regime backfill` updates the gates.")


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
    place = Market.parse(market)
    with open_workspace(Settings()) as workspace:
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
    """Print the gates at the newest hour, every condition with value and threshold.

    Example: regime gates show ETH-USDT_1h
    """
    place = Market.parse(market)
    with open_workspace(Settings()) as workspace:
        found = newest_advice(workspace, place)
        stops = workspace.warehouse.grids.stops(place.symbol)
    out.print(
        f"{place} {found['hour_start']:%Y-%m-%dT%H:%M:%SZ}: [bold]{found['gate_state']}[/]",
        highlight=False,
        markup=True,
    )
    if stops and found["gate_state"] != "NONE":
        newest = stops[-1]
        said = f"stopped {to_iso(newest.stopped_at_ms)} by {newest.who} ({newest.cause}): {newest.why}"
        out.print(f"  {said}; {found['gate_bars']} observations ago", highlight=False, soft_wrap=True)
    for made in found["gate_checks"]:
        style = "green" if made["is_met"] else "red"
        outcome = Text("met    " if made["is_met"] else "not met", style=style)
        out.print(Text(f"  gate {made['gate']}"), outcome, made["sentence"])
    if found["restart_grid"] is not None:
        out.print_json(data=found["restart_grid"])


@gates_app.command("log")
def log_command(
    market: MarketName,
    hours: Annotated[int, typer.Option(min=1, max=10_000, help="Newest hours shown.")] = 48,
) -> None:
    """List the gates hour by hour: state, hold, and the conditions that were not met.

    Example: regime gates log ETH-USDT_1h --hours 72
    """
    place = Market.parse(market)
    with open_workspace(Settings()) as workspace:
        frame = advice_frame(workspace, place, hours)
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
