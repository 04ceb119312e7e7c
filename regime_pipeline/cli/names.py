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
_UNIT_MS: Final = {"m": HOUR_MS // 60, "h": HOUR_MS, "d": 24 * HOUR_MS, "w": 7 * 24 * HOUR_MS}
_AGO: Final = re.compile(r"-(\d{1,6})([mhdw])")


def stated_market(name: str, timeframe: str = "") -> Market | None:
    """Return the market of a name that states its timeframe, None for a symbol alone.

    Raises
    ------
    UsageError
        The name cannot be read, or states another timeframe than the option.
    """
    stated = name.rpartition("_")[2]
    if stated not in TIMEFRAME_MINUTES:
        return None
    if timeframe not in ("", stated):
        raise UsageError(f"{name} is not on {timeframe}.", "Name the timeframe once.")
    return Market.parse(name)


def named_market(ws: Workspace, name: str) -> Market:
    """Return the market that is meant; a symbol alone means its hourly market, else the nearest that is stored.

    Raises
    ------
    UsageError
        The name cannot be read.
    MissingDataError
        Nothing of the symbol is stored.
    """
    return stated_market(name) or deciding_market(ws, parse_symbol(name, ws.universe.symbols))


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
