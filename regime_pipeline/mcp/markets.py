"""Which market is meant, and which markets there are; an unknown one is refused with similar names.

See `regime_tools` and `verdict_tools` for what is known of a market.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES, Market, parse_symbol
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.mcp.arguments import MarketsQuery
from regime_pipeline.mcp.responses import page
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.overview import overview


def list_markets(ws: Workspace, query: MarketsQuery) -> dict[str, Any]:
    """Answer `list_markets`."""
    symbol = _wanted_symbol(ws, query.symbol)
    timeframe = _wanted_timeframe(query.timeframe)
    every = {_key(market): market for market in ws.warehouse.markets()}
    chosen = {
        key: every[key]
        for key in sorted(every)
        if symbol in ("", every[key].symbol) and timeframe in ("", every[key].timeframe)
    }
    keys = list(chosen)

    def rows(first: int, last: int) -> Sequence[dict[str, Any]]:
        wanted = [chosen[key] for key in keys[first:last]]
        found = {(row["symbol"], row["timeframe"]): row for row in overview(ws, wanted)} if wanted else {}
        return [_row(ws, market, found[market.symbol, market.timeframe]) for market in wanted]

    asked = ("list_markets", symbol, timeframe)
    return page(asked, keys, rows, limit=query.limit, cursor=query.cursor, context={"now": to_iso(ws.clock())})


def stored_market(ws: Workspace, symbol: str, timeframe: str) -> Market:
    """Return the market that is meant.

    Raises
    ------
    UsageError
        The symbol or timeframe cannot be read, or nothing of it is stored; names what is near.
    """
    every = ws.warehouse.markets()
    name = known_symbol(symbol, {market.symbol for market in every})
    market = Market(name, timeframe)
    if market in every:
        return market
    steps = sorted((m for m in every if m.symbol == name), key=lambda m: m.step_ms)
    raise UsageError(f"{name} is not stored on {timeframe}.", f"Use one of {', '.join(m.timeframe for m in steps)}.")


def known_symbol(text: str, known: Iterable[str]) -> str:
    """Return one of the known symbols, from any of its spellings.

    Raises
    ------
    MissingDataError
        Nothing is stored at all.
    UsageError
        The symbol is not known; names those that are near.
    """
    symbols = sorted(known)
    if not symbols:
        raise MissingDataError("No market is stored.", "Import or materialize one first, e.g. with `regime backfill`.")
    try:
        symbol = parse_symbol(text, frozenset(symbols))
    except UsageError:
        symbol = text.strip().upper()
    if symbol in symbols:
        return symbol
    near = _near(symbol, symbols)
    todo = f"Near names: {', '.join(near)}." if near else "Ask list_markets for the symbols there are."
    raise UsageError(f"'{text}' is not a stored symbol.", todo)


def _near(symbol: str, known: Sequence[str]) -> list[str]:
    """Known symbols that look alike, then those of the same base."""
    base = symbol.partition("-")[0]
    same = [name for name in known if name.partition("-")[0] == base]
    bases = {name.partition("-")[0] for name in known}
    like = [name for near in get_close_matches(base, bases, 3) for name in known if name.partition("-")[0] == near]
    return list(dict.fromkeys([*same, *get_close_matches(symbol, known, 3), *like]))[:5]


def _wanted_symbol(ws: Workspace, text: str | None) -> str:
    return known_symbol(text, {market.symbol for market in ws.warehouse.markets()}) if text else ""


def _wanted_timeframe(text: str | None) -> str:
    """A timeframe there is, empty for all."""
    if text and text not in TIMEFRAME_MINUTES:
        raise UsageError(f"'{text}' is not a timeframe.", f"Use one of {', '.join(TIMEFRAME_MINUTES)}.")
    return text or ""


def _key(market: Market) -> str:
    """Sorts by symbol, then by the length of the bars."""
    return f"{market.symbol} {TIMEFRAME_MINUTES[market.timeframe]:05d}"


def _row(ws: Workspace, market: Market, newest: dict[str, Any]) -> dict[str, Any]:
    """What is stored of one market, and what it does now."""
    first = ws.warehouse.oldest(market)
    return newest | {"first_candle": None if first is None else to_iso(first)}
