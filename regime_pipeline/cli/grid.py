"""`regime grid`: show, set, import and export configured grids, and the newest advice on them.

See `services.grids` for what a change means.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import out
from regime_pipeline.cli.names import MarketName, named_market, named_moment
from regime_pipeline.cli.output import Format, FormatOption, OutputOption, write_document, write_frame, write_text
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.formats import (
    to_fields,
    to_freqtrade,
    to_hummingbot,
    to_json,
    to_threecommas,
    to_toml,
)
from regime_pipeline.domain.grids.versions import History
from regime_pipeline.domain.market_data.market import parse_symbol
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grid_files import read_histories
from regime_pipeline.services.grids import import_history, proposed_fields, update_grid
from regime_pipeline.services.queries.advice import newest_advice
from regime_pipeline.services.queries.freshness import Freshness
from regime_pipeline.services.queries.grid_events import grid_log
from regime_pipeline.services.restarts import gates_now
from regime_pipeline.settings import Settings

ExportFormat = Literal["toml", "json", "hummingbot", "3commas", "freqtrade"]
Symbol = Annotated[str, typer.Argument(help="BASE-QUOTE, for example ETH-USDT.")]
_BOTS: Final[dict[str, Callable[[GridConfig, str], dict[str, Any]]]] = {
    "hummingbot": to_hummingbot,
    "3commas": lambda config, _: to_threecommas(config),
    "freqtrade": lambda config, _: to_freqtrade(config),
}

grid_app = typer.Typer(
    name="grid", help="The configured grids: versions, advice, log, exchange of files.", no_args_is_help=True
)


@grid_app.command("list")
def list_command() -> None:
    """List every symbol's newest version.

    Example: regime grid list
    """
    with open_workspace(Settings()) as workspace:
        newest = [workspace.warehouse.grids.history(symbol)[-1] for symbol in workspace.warehouse.grids.symbols()]
    if not newest:
        raise MissingDataError("No grid is configured.", "Make one with `regime grid set SYMBOL --why TEXT`.")
    out.print(_table(newest))


@grid_app.command("show")
def show_command(
    symbol: Symbol,
    version: Annotated[int, typer.Option(min=0, help="Version; 0 for the newest.")] = 0,
) -> None:
    """Print one version as JSON.

    Example: regime grid show ETH-USDT --version 3
    """
    with open_workspace(Settings()) as workspace:
        history = _history(workspace, symbol)
    if version > len(history):
        raise UsageError(f"The grid of {history[0].symbol} has {len(history)} versions, not {version}.")
    out.print_json(data=to_fields(history[version - 1]))


@grid_app.command("history")
def history_command(symbol: Symbol) -> None:
    """List every version: since when, by whom, why.

    Example: regime grid history ETH-USDT
    """
    with open_workspace(Settings()) as workspace:
        out.print(_table(_history(workspace, symbol)))


@grid_app.command("set")
def set_command(
    symbol: Symbol,
    why: Annotated[str, typer.Option(help="Reason for the change; kept in the history.")],
    fields: Annotated[list[str] | None, typer.Argument(help="FIELD=VALUE, for example levels=8 enabled=true.")] = None,
    on_version: Annotated[int, typer.Option(min=0, help="Version the change is made on; 0 for a first grid.")] = 0,
    who: Annotated[str, typer.Option(help="Who makes the change.")] = "",
    override: Annotated[
        bool, typer.Option("--override", help="Enable it although a stop is in force, which it then stays.")
    ] = False,
) -> None:
    """Make a new version; a first grid starts from defaults around the newest price, disabled.

    Disabling an enabled grid is a stop. While a stop is in force, enabling is refused with what the restart gates wait
    for; `regime gates restart` starts what they permit.

    Example: regime grid set ETH-USDT enabled=true levels=8 --on-version 1 --why "range is back"
    """
    name, update = parse_symbol(symbol), dict(_field(text) for text in fields or [])
    with open_workspace(Settings()) as workspace:
        start = {} if on_version else proposed_fields(workspace, name)
        config = update_grid(
            workspace,
            name,
            start | update,
            expected_version=on_version,
            who=who or getpass.getuser(),
            why=why,
            override=override,
        )
    out.print(f"Stored the {config}.", highlight=False)
    out.print_json(data=to_fields(config))


@grid_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="TOML or JSON, as `regime grid export` writes it.")],
    override: Annotated[
        str, typer.Option(help="Why versions may enable a grid although a stop is in force here; kept with them.")
    ] = "",
) -> None:
    """Store the versions of a file that are not stored yet; refused where they enable a grid that is stopped here.

    Example: regime grid import grids.toml
    """
    histories = read_histories(file)
    with open_workspace(Settings()) as workspace:
        stored = {
            symbol: import_history(workspace, history, override=override) for symbol, history in histories.items()
        }
    for symbol, count in stored.items():
        out.print(f"{symbol}: {count} versions stored, {len(histories[symbol]) - count} known.", highlight=False)


@grid_app.command("export")
def export_command(
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols; all by default.")] = None,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="Every version (toml, json), or the newest for a bot.")
    ] = "toml",
    output: Annotated[str, typer.Option(help="File, or - for stdout.")] = "-",
    connector: Annotated[str, typer.Option(help="Hummingbot's name of the exchange.")] = "binance",
) -> None:
    """Write grids as TOML or JSON, or in the words of another bot.

    Example: regime grid export ETH-USDT --format hummingbot --output grid.json
    """
    with open_workspace(Settings()) as workspace:
        histories = [_history(workspace, symbol) for symbol in symbols or workspace.warehouse.grids.symbols()]
    text = _exported(histories, form, connector)
    write_text(text, output)


@grid_app.command("advice")
def advice_command(market: MarketName) -> None:
    """Print what the newest hour advises, with the reasons, and the stop that is in force.

    Example: regime grid advice ETH-USDT_1h
    """
    with open_workspace(Settings()) as workspace:
        place = named_market(workspace, market)
        found = newest_advice(workspace, place)
        hour_ms = round(found["hour_start"].timestamp() * 1000)
        stale = Freshness(workspace, place).stale_reason(place, "grid_advice", hour_ms, found["advice_hash"])
        gates = gates_now(workspace, place)
    hour = f"{found['hour_start']:%Y-%m-%dT%H:%M:%SZ}"
    said = escape(f"{place} {hour}")
    out.print(f"{said}: [bold]{found['action']}[/] ({found['status']})", highlight=False, markup=True)
    if stale:
        out.print(f"  [red]stale[/]    {escape(stale)}", highlight=False, soft_wrap=True, markup=True)
    if gates is not None:
        out.print(f"  stop     {gates.document()['sentence']}", highlight=False, soft_wrap=True)
    for reason in found["reasons"]:
        out.print(f"  {reason['outcome']:<8} {reason['sentence']}", highlight=False, soft_wrap=True)


@grid_app.command("log")
def log_command(
    market: MarketName,
    since: Annotated[str, typer.Option(help="From when: -1d, -6h, 2026-03-12 or ISO-8601.")] = "-1d",
    until: Annotated[str, typer.Option(help="Up to when, in the same forms.")] = "now",
    form: FormatOption = Format.TABLE,
    output: OutputOption = "-",
) -> None:
    """List what happened to a grid: versions, stops, changes of advice, gates and verdict, graduation.

    Example: regime grid log ETH-USDT --since -2d
    """
    with open_workspace(Settings()) as workspace:
        place, now = named_market(workspace, market), workspace.clock()
        events = grid_log(workspace, place, named_moment(since, now), named_moment(until, now))
    if form == Format.JSON:
        write_document([event.document() for event in events], output)
    elif form != Format.TABLE or output != "-":
        import pandas as pd  # it takes a second to import

        write_frame(pd.DataFrame([event.document() for event in events]), form, output, ())
    elif not events:
        out.print(f"Nothing happened to the grid of {place.symbol} in that time.", highlight=False)
    for event in events if (form, output) == (Format.TABLE, "-") else ():
        out.print(f"{to_iso(event.time_ms)}  {event.kind:<10} {event.text}", highlight=False, soft_wrap=True)


def _history(workspace: Workspace, symbol: str) -> History:
    name = parse_symbol(symbol)
    history = workspace.warehouse.grids.history(name)
    if not history:
        raise MissingDataError(f"{name} has no grid.", f"Make one with `regime grid set {name} --why TEXT`.")
    return history


def _field(text: str) -> tuple[str, Any]:
    """FIELD=VALUE as the configuration takes it: whole numbers for levels, truth values for enabled, else texts."""
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"'{text}' is not FIELD=VALUE.", "Write it as levels=8.")
    if name == "levels" and value.isdigit():
        return name, int(value)
    known = {"true": True, "false": False, "none": None}
    return name, known.get(value.lower(), value)


def _table(configs: Sequence[GridConfig]) -> Table:
    table = Table(pad_edge=False)
    for header in ("symbol", "version", "valid from", "state", "range", "levels", "who", "why"):
        table.add_column(header, justify="right" if header in ("version", "levels") else "left", overflow="fold")
    for config in configs:
        state = "enabled" if config.enabled else "disabled"
        edges = f"{config.lower:f} to {config.upper:f}"
        cells = (config.symbol, str(config.version), to_iso(config.valid_from_ms), state, edges, str(config.levels))
        table.add_row(*cells, config.who, config.reason)
    return table


def _exported(histories: Sequence[History], form: ExportFormat, connector: str) -> str:
    if form in _BOTS:
        documents = [_BOTS[form](history[-1], connector) for history in histories]
        return orjson.dumps(documents, default=float, option=orjson.OPT_INDENT_2).decode()
    every = [config for history in histories for config in history]
    return to_toml(every) if form == "toml" else to_json(every)
