"""What a person types for a market and for a moment, as the commands take it.

See `domain.market_data.symbols` for the spellings of a symbol.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market, parse_symbol
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.restarts import deciding_market

MarketName = Annotated[str, typer.Argument(help="A market such as ETH-USDT_1h, or a symbol: its hourly market.")]
Timeframe = Annotated[str, typer.Option(help=f"{' '.join(TIMEFRAME_MINUTES)}; where the market's name has none.")]
_UNIT_MS: Final = {"m": HOUR_MS // 60, "h": HOUR_MS, "d": 24 * HOUR_MS, "w": 7 * 24 * HOUR_MS}
_AGO: Final = re.compile(r"-(\d{1,6})([mhdw])")


def named_market(ws: Workspace, name: str, timeframe: str = "") -> Market:
    """Return the market that is meant; a symbol alone means its hourly market, else the nearest that is stored.

    Raises
    ------
    UsageError
        The name cannot be read, or names another timeframe than the option.
    MissingDataError
        Nothing of the symbol is stored.
    """
    stated = name.rpartition("_")[2]
    if stated in TIMEFRAME_MINUTES:
        if timeframe not in ("", stated):
            raise UsageError(f"{name} is not on {timeframe}.", "Name the timeframe once.")
        return Market.parse(name)
    symbol = parse_symbol(name, ws.universe.symbols)
    return Market(symbol, timeframe) if timeframe else deciding_market(ws, symbol)


def named_moment(text: str, now_ms: int) -> int:
    """Return a moment in epoch milliseconds UTC.

    Parameters
    ----------
    text : str
        `now`, so long ago (`-90m`, `-6h`, `-1d`, `-2w`), or ISO-8601; a date or time without an offset is UTC.
    now_ms : int
        What `now` is.

    Raises
    ------
    UsageError
        The text is none of these.
    """
    if text == "now":
        return now_ms
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a time.", "Write now, -6h, -1d, 2026-03-12 or 2026-03-12T10:00Z.") from error
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
