"""The REST form of KuCoin spot: time, listing and candles, newest first, close before high, in seconds.

Facts of the form: the exchange's public API documentation (market data, klines).
"""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.faults import Kind
from regime_pipeline_tests.exchange_simulator.price_feed import Bar, Listing
from regime_pipeline_tests.exchange_simulator.responses import Errors, json_answer

MAX_LIMIT: Final = 1_500
_TYPES: Final = {
    **{f"{minutes}min": f"{minutes}m" for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}hour": f"{hours}h" for hours in (1, 2, 4)},
    "1day": "1d",
}
ERRORS: Final = Errors(
    "code",
    "msg",
    {
        "rate_limit": ("429000", "Too many requests in a short period of time, please retry later"),
        "ban": ("200002", "Too many requests, the IP is restricted"),
        "timeout": ("500000", "Internal Server Error"),
        "restricted": ("400302", "Our services are currently unavailable in your region"),
        "symbol": ("400100", "This pair is not provided at present"),
        "interval": ("400100", "Incorrect candlestick type"),
        "parameter": ("400100", "Bad Request"),
    },
    500,
)


def routes(exchange: Exchange) -> list[Route]:
    """Return the routes of the form."""

    async def time(request: Request) -> Response:
        return await exchange.answer(request, "", 3, _sound(exchange.shown_time_ms()), ERRORS)

    async def listing(request: Request) -> Response:
        listings = exchange.tape.listings.items()
        entries = [_entry(exchange, s, of) for s, of in listings if not exchange.is_unknown(s)]
        return await exchange.answer(request, "", 4, _sound(entries), ERRORS)

    async def nothing(request: Request) -> Response:
        return await exchange.answer(request, "", 3, _sound([]), ERRORS)

    async def candles(request: Request) -> Response:
        symbol = exchange.symbol_of(request.query_params.get("symbol", ""), "-")
        return await exchange.answer(request, symbol or "", 3, _candles(exchange, request, symbol), ERRORS)

    return [
        Route("/api/v1/timestamp", time),
        Route("/api/v2/symbols", listing),
        Route("/api/v3/currencies", nothing),
        Route("/api/v1/market/candles", candles),
    ]


def _sound(data: Any) -> Response:
    return json_answer({"code": "200000", "data": data})


def _candles(exchange: Exchange, request: Request, symbol: str | None) -> Response:
    query = request.query_params
    if symbol is None:
        return ERRORS.answer("symbol", 400)
    if query.get("type") not in _TYPES:
        return ERRORS.answer("interval", 400)
    try:
        start, end = int(query.get("startAt", 0)) * 1000, int(query.get("endAt", 2**42)) * 1000
    except ValueError:
        return ERRORS.answer("parameter", 400)
    market = Market(symbol, _TYPES[query["type"]])
    bars = exchange.tape.newest(market, end, MAX_LIMIT)
    return _sound([_row(bar) for bar in reversed(bars) if bar.open_ms >= start])


def _row(bar: Bar) -> list[str]:
    prices = [f"{price:.8f}" for price in (bar.open, bar.close, bar.high, bar.low)]
    return [str(bar.open_ms // 1000), *prices, f"{bar.volume:.8f}", f"{bar.volume * bar.close:.8f}"]


def _entry(exchange: Exchange, symbol: str, listing: Listing) -> dict[str, Any]:
    base, quote = symbol.split("-")
    is_halted = bool(exchange.faults.of_bars(Kind.HALTED, symbol))
    sizes = dict.fromkeys(("baseMinSize", "quoteMinSize", "baseIncrement", "quoteIncrement"), "0.00000001")
    return {
        "symbol": symbol,
        "name": symbol,
        "baseCurrency": base,
        "quoteCurrency": quote,
        "feeCurrency": quote,
        "market": quote,
        "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999",
        **sizes,
        "priceIncrement": f"{1 / listing.price_scale:.8f}",
        "enableTrading": not is_halted,
        "isMarginEnabled": False,
    }
