"""Parameters that many routes share: market, times, limits, cursors; and the pages that cursors walk through.

See the route modules for what a route does with them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator

from regime_pipeline.api.context import ContextParameter
from regime_pipeline.api.errors import ApiError
from regime_pipeline.api.faults import note_fault
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market, parse_symbol
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.queries.candle_regimes import FOREVER


def page_of(request: Request, items: list[dict[str, Any]], limit: int, cursor: str) -> dict[str, Any]:
    """Return the page of a list that a cursor points at."""
    first = decode_cursor(cursor) or 0
    until = first + limit
    return {"items": items[first:until], "total": len(items), "next_url": next_url(request, until, until < len(items))}


def next_url(request: Request, position: int, is_more: bool) -> str | None:
    """Return the address of the page at a position, None where there is no more.

    Relative to the server: an absolute one would be built from the Host header, and a client would send its key there.
    """
    if not is_more:
        return None
    url = request.url.include_query_params(cursor=encode_cursor(position))
    return f"{url.path}?{url.query}"


ANY_MARKET: Final = Market("BTC-USDT", "1h")
"""In place of one that a request names wrongly, while its other faults are looked for."""
MOST_BARS: Final = 20_000
MOST_ROWS: Final = 1_000
SymbolPath = Annotated[
    str,
    Path(
        description="BASE-QUOTE or BASE-QUOTE-PERP; ETHUSDT and ETH%2FUSDT are accepted.",
        max_length=40,
        examples=["ETH-USDT"],
    ),
]
TimeframePath = Annotated[str, Path(description="1m 3m 5m 15m 30m 1h 2h 4h or 1d.", max_length=4, examples=["1h"])]


def _checked_moment(text: str) -> str:
    """Refuse a wrong time together with the other faults of its request."""
    try:
        moment_of(text, 0)
    except (UsageError, ApiError) as error:
        raise ValueError(str(error)) from error
    return text


TimePath = Annotated[
    str,
    AfterValidator(_checked_moment),
    Path(description="A moment, ISO-8601 with offset.", max_length=40, examples=["2026-09-01T12:00:00Z"]),
]


def _checked_cursor(text: str) -> str:
    """Refuse a wrong cursor together with the other faults of its request."""
    try:
        decode_cursor(text)
    except ApiError as error:
        raise ValueError(str(error)) from error
    return text


_StartQuery = Annotated[
    str,
    AfterValidator(_checked_moment),
    Query(
        description="First moment, ISO-8601 with offset; rows then go forward from here, oldest first.",
        max_length=40,
        examples=["2026-09-01T00:00:00Z"],
    ),
]
_EndQuery = Annotated[
    str,
    AfterValidator(_checked_moment),
    Query(description="End (exclusive), ISO-8601 with offset.", max_length=40, examples=["2026-09-08T00:00:00Z"]),
]
BarsLimit = Annotated[
    int,
    Query(
        ge=1, le=MOST_BARS, description="At most so many bars: the first from `start`, else the newest.", examples=[120]
    ),
]
RowsLimit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Most rows per page.", examples=[50])]
CursorQuery = Annotated[
    str,
    AfterValidator(_checked_cursor),
    Query(max_length=200, description="From `next_url` of the page before."),
]


async def check_path(request: Request, context: ContextParameter) -> None:
    """Note a symbol or timeframe of the path that is none."""
    path = request.path_params
    if "symbol" in path:
        _note_unless(parse_symbol, path["symbol"], context.ws.universe.symbols)
    if "timeframe" in path:
        _note_unless(ANY_MARKET.on, path["timeframe"])


def _note_unless(parse: Callable[..., object], *given: object) -> None:
    """Note what is wrong with a text that cannot be parsed."""
    try:
        parse(*given)
    except UsageError as error:
        note_fault(str(error))


async def market_of(symbol: SymbolPath, timeframe: TimeframePath, context: ContextParameter) -> Market:
    """Return the market of a path; any market where `check_path` has noted that it is none."""
    try:
        return Market(parse_symbol(symbol, context.ws.universe.symbols), timeframe)
    except UsageError:
        return ANY_MARKET


async def span_of(start: _StartQuery = "", end: _EndQuery = "") -> tuple[int, int]:
    """Return the span asked for, epoch milliseconds UTC; everything by default."""
    span = moment_of(start, FOREVER[0]), moment_of(end, FOREVER[1])
    if span[0] >= span[1]:
        note_fault(f"The start {start or 'of time'} is not before the end {end or 'of time'}.")
    return span


def moment_of(text: str, default: int) -> int:
    """Return a moment in epoch milliseconds; a plus sign that a URL turned into a space is read as one."""
    if not text:
        return default
    moment = to_ms(text.replace(" ", "+"))
    if not FOREVER[0] <= moment <= FOREVER[1]:
        raise ApiError(422, "usage", f"The time '{text}' is not within 1970 to 2100.")
    return moment


@dataclass(frozen=True, slots=True)
class TimePage:
    """One page of rows that lie a step apart in a span.

    Parameters
    ----------
    start_ms, end_ms : int
        Span of the page, epoch milliseconds UTC.
    next_ms : int
        Where the next page goes on.
    is_last : bool
        Nothing is left after it.
    is_forward : bool
        Oldest first, from the start that was asked for; else newest first.
    """

    start_ms: int
    end_ms: int
    next_ms: int
    is_last: bool
    is_forward: bool

    @classmethod
    def of(cls, span: tuple[int, int], reach_ms: int, cursor: str, is_forward: bool) -> TimePage:
        """Return the page of a span that a cursor points at, `reach_ms` long."""
        first, last = span[0], max(span)
        at = decode_cursor(cursor)
        at = min(max(at if at is not None else (first if is_forward else last), first), last)
        if is_forward:
            end = min(at + reach_ms, last)
            return cls(at, end, end, end >= last, True)
        start = max(at - reach_ms, first)
        return cls(start, at, start, start <= first, False)

    def next_url(self, request: Request) -> str | None:
        """Return the address of the next page, None at the end."""
        return next_url(request, self.next_ms, not self.is_last)


MarketParameter = Annotated[Market, Depends(market_of)]
SpanParameter = Annotated[tuple[int, int], Depends(span_of)]


def encode_cursor(position: int) -> str:
    """Return a position as a cursor."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int | None:
    """Return the position of a cursor, None for an empty one."""
    if not cursor:
        return None
    try:
        return int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error) as error:
        raise ApiError(422, "usage", "The cursor was not issued by this API; start again without it.") from error
