"""`regime hold`: how long a band of prices will hold, and which band holds with a given probability.

See `services.queries.hold` for the probability; this module parses options and prints.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import out
from regime_pipeline.cli.names import stated_market
from regime_pipeline.cli.output import Format, write_document
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.hold.model import MAX_HOURS, MAX_PROBABILITY, MIN_HOURS, MIN_PROBABILITY
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.queries.hold import DEFAULT_HOURS, DEFAULT_PROBABILITY, HoldQuery, hold_answer
from regime_pipeline.settings import Settings

_Edge = Annotated[float | None, typer.Option(help="Edge of the band, quote currency; give both or neither.")]


def hold_command(
    symbol: Annotated[str, typer.Argument(help="BASE-QUOTE, or a market such as ETH-USDT_4h.")],
    lower: _Edge = None,
    upper: _Edge = None,
    hours: Annotated[int, typer.Option(min=MIN_HOURS, max=MAX_HOURS, help="Hours ahead.")] = DEFAULT_HOURS,
    timeframe: Annotated[str, typer.Option(help="1m 3m 5m 15m 30m 1h 2h or 4h; 1h by default.")] = "",
    probability: Annotated[
        float, typer.Option(min=MIN_PROBABILITY, max=MAX_PROBABILITY, help="Of the band that is suggested.")
    ] = DEFAULT_PROBABILITY,
    form: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """Say how probable it is that every close of the next hours stays inside a band.

    Also prints the band around the newest close that holds with --probability.

    Example: regime hold ETH-USDT --lower 2300 --upper 2500 --hours 72
    """
    if form not in (Format.TABLE, Format.JSON):
        raise UsageError(f"`regime hold` cannot write {form.value}.", "Choose --format table or json.")
    market = stated_market(symbol, timeframe) or Market(symbol, timeframe or "1h")
    with open_workspace(Settings()) as workspace:
        found = hold_answer(workspace, market, HoldQuery(lower, upper, hours, probability))
    if form == Format.JSON:
        write_document(found, "-")
        return
    for line in _lines(found):
        out.print(line, highlight=False, soft_wrap=True, markup=True)


def _lines(found: dict[str, Any]) -> list[str]:
    """The answer in sentences."""
    market = f"{found['symbol']}_{found['timeframe']}"
    lines = [f"[bold]{market}[/] closed at {found['close']:.6g} ({found['known_at']})"]
    hours, chance, band = found["hours"], found["hold_probability"], found["band"]
    if chance is not None:
        edges = f"{found['lower']:.6g} to {found['upper']:.6g}"
        lines.append(
            f"  every close of the next {hours} h between {edges}: [bold]{chance:.0%}[/]"
            if found["lower"] < found["close"] < found["upper"]
            else f"  the close is not between {edges}: [bold]0%[/]"
        )
    said = f"{band['lower']:.6g} to {band['upper']:.6g}"
    lines.append(f"  the band that holds for {hours} h with {band['probability']:.0%}: [bold]{said}[/]")
    return lines
