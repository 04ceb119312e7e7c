"""A quick way through for the question that bots ask all day: regimes of a market, every parameter in its plain form.

FastAPI resolves a dozen dependencies for each request, which takes longer than to read and render 120 rows. What is
not plainly sound goes that way, and is refused there. Both ways end in the same function and give the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from fastapi import Request, Response

from regime_pipeline.api.checked_route import OF_BODIES, CheckedRoute, Handler
from regime_pipeline.api.context import Context
from regime_pipeline.api.formats import MEDIA_TYPES, Format
from regime_pipeline.api.params import MOST_BARS
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.queries.candle_regimes import FOREVER

_SYMBOL: Final = re.compile(r"[A-Z0-9]{2,10}-[A-Z0-9]{2,10}(?:-PERP)?")
_MOMENT: Final = re.compile(r"(?:19[789]\d|20\d\d)-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_LIMIT: Final = re.compile(r"[1-9]\d{0,4}")
_NAMES: Final = frozenset({"start", "end", "limit", "format"})
_DEFAULT_LIMIT: Final = 500


class PlainQuestion(NamedTuple):
    """A sound question: market, span in epoch milliseconds UTC, how many bars, in which form, the ETag one has."""

    market: Market
    span: tuple[int, int]
    limit: int
    form: Format
    have: str | None


Answer = Callable[[Context, PlainQuestion], Coroutine[Any, Any, Response]]


def plain_question(request: Request) -> PlainQuestion | None:
    """Return the question of a request that is plainly sound; None where it has to be looked at more closely."""
    asked = _plain_parameters(request)
    symbol, timeframe = request.path_params["symbol"], request.path_params["timeframe"]
    if asked is None or timeframe not in TIMEFRAME_MINUTES or not _SYMBOL.fullmatch(symbol):
        return None
    try:
        span = _moment(asked.get("start"), FOREVER[0]), _moment(asked.get("end"), FOREVER[1])
        market = Market(symbol, timeframe)
    except (UsageError, ValueError):
        return None
    limit, form = int(asked.get("limit", _DEFAULT_LIMIT)), asked.get("format", "rows")
    if span[0] >= span[1] or limit > MOST_BARS or form not in MEDIA_TYPES:
        return None
    return PlainQuestion(market, span, limit, form, request.headers.get("if-none-match"))


def _plain_parameters(request: Request) -> dict[str, str] | None:
    """Query parameters where each is known and given once, and the request has neither key nor body."""
    if any(name in request.headers for name in ("x-api-key", *OF_BODIES)):
        return None
    pairs = request.query_params.multi_items()
    asked = dict(pairs)
    is_plain = len(asked) == len(pairs) and asked.keys() <= _NAMES and _LIMIT.fullmatch(asked.get("limit", "1"))
    return asked if is_plain else None


def _moment(text: str | None, default: int) -> int:
    """Epoch milliseconds; raises ValueError for a moment that is not plain."""
    if text is None:
        return default
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    return to_ms(text)


def quick_route(answer: Answer) -> type[CheckedRoute]:
    """Return the class of a route that gives plain questions to a function, and all others to FastAPI."""

    class QuickRoute(CheckedRoute):
        def get_route_handler(self) -> Handler:
            checked = super().get_route_handler()

            async def handle(request: Request) -> Response:
                context: Context = request.app.state.context
                question = None if context.options.is_key_required else plain_question(request)
                return await (checked(request) if question is None else answer(context, question))

            return handle

    return QuickRoute
