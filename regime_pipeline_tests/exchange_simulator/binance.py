"""The REST form of Binance spot: time, listing and klines, with weights in the headers.

Facts of the form: the exchange's public API documentation (spot REST, klines and limits).
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.names import span_of
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.faults import Kind
from regime_pipeline_tests.exchange_simulator.price_feed import Bar, Listing
from regime_pipeline_tests.exchange_simulator.responses import Errors, json_answer

MICROSECONDS_FROM: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z, from when on the spot archive counts in microseconds."""
HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_NAME: Final = re.compile(r"([A-Z0-9]+)-(\w+)-(\d{4})-(\d{2})(?:-(\d{2}))?\.zip(\.CHECKSUM)?")


def archive_routes(exchange: Exchange) -> list[Route]:
    """Return the routes of the tree."""

    async def file(request: Request) -> Response:
        return await exchange.answer(request, "", 0, _file(exchange, request), ERRORS)

    return [Route("/data/spot/{grain}/klines/{symbol}/{interval}/{name}", file)]


def _file(exchange: Exchange, request: Request) -> Response:
    """The zip or its CHECKSUM; 404 for what is not published."""
    absent = PlainTextResponse("NoSuchKey", 404)
    match = _NAME.fullmatch(request.path_params["name"])
    symbol = exchange.symbol_of(request.path_params["symbol"], "")
    if match is None or symbol is None or (match[5] is None) != (request.path_params["grain"] == "monthly"):
        return absent
    start, end = span_of(int(match[3]), int(match[4]), int(match[5] or 0))
    path = request.url.path
    if end > exchange.clock.now_ms() or exchange.faults.hit(Kind.ARCHIVE_MISSING, symbol, path):
        return absent
    content = _zip(exchange, Market(symbol, match[2]), start, end, match[0].removesuffix(".CHECKSUM"))
    if content is None:
        return absent
    if match[6]:
        digest = hashlib.sha256(content).hexdigest()
        wrong = exchange.faults.hit(Kind.ARCHIVE_CHECKSUM, symbol, path)
        name = match[0].removesuffix(".CHECKSUM")
        return PlainTextResponse(f"{digest[::-1] if wrong else digest}  {name}\n")
    if exchange.faults.hit(Kind.ARCHIVE_DAMAGED, symbol, path):
        content = content[: len(content) // 2]
    return Response(content, media_type="application/zip")


def _zip(exchange: Exchange, market: Market, start_ms: int, end_ms: int, name: str) -> bytes | None:
    """One CSV in a zip, the same bytes every time; None for a span without bars."""
    bars = exchange.tape.closed(market, start_ms, end_ms)
    if not bars:
        return None
    faults, symbol = exchange.faults, market.symbol
    is_fine = start_ms >= MICROSECONDS_FROM and not faults.of_bars(Kind.ARCHIVE_MILLISECONDS, symbol)
    is_fine = is_fine or bool(faults.of_bars(Kind.ARCHIVE_MICROSECONDS, symbol))
    lines = [HEADER] if faults.of_bars(Kind.ARCHIVE_HEADER, symbol) else []
    for row in map(kline, bars):
        if is_fine:
            row[0], row[6] = row[0] * 1000, row[6] * 1000 + 999
        lines.append(",".join(map(str, row)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name.replace(".zip", ".csv"))
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, "\n".join(lines) + "\n")
    return buffer.getvalue()


MAX_LIMIT: Final = 1_000
_DEFAULT_LIMIT: Final = 500
_INTERVALS: Final = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "1d")
_FAR: Final = 2**52
ERRORS: Final = Errors(
    "code",
    "msg",
    {
        "rate_limit": (-1003, "Too much request weight used; please use WebSocket Streams for live updates."),
        "ban": (-1003, "Way too much request weight used; IP banned."),
        "timeout": (-1007, "Timeout waiting for response from backend server."),
        "restricted": (0, "Service unavailable from a restricted location."),
        "symbol": (-1121, "Invalid symbol."),
        "interval": (-1120, "Invalid interval."),
        "parameter": (-1100, "Illegal characters found in a parameter."),
    },
    408,
)


def routes(exchange: Exchange) -> list[Route]:
    """Return the routes of the form."""

    async def ping(request: Request) -> Response:
        return await exchange.answer(request, "", 1, json_answer({}), ERRORS)

    async def time(request: Request) -> Response:
        return await exchange.answer(request, "", 1, json_answer({"serverTime": exchange.shown_time_ms()}), ERRORS)

    async def listing(request: Request) -> Response:
        symbols = [_entry(exchange, s, of) for s, of in exchange.tape.listings.items() if not exchange.is_unknown(s)]
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}]
        body = {
            "timezone": "UTC",
            "serverTime": exchange.shown_time_ms(),
            "rateLimits": [{**limits[0], "limit": exchange.ledger.limit}],
            "exchangeFilters": [],
            "symbols": symbols,
        }
        return await exchange.answer(request, "", 20, json_answer(body), ERRORS)

    async def nothing_listed(request: Request) -> Response:
        return await exchange.answer(request, "", 1, json_answer({"symbols": []}), ERRORS)

    async def klines(request: Request) -> Response:
        symbol = exchange.symbol_of(request.query_params.get("symbol", ""), "")
        return await exchange.answer(request, symbol or "", 2, _klines(exchange, request, symbol), ERRORS)

    return [
        Route("/api/v3/ping", ping),
        Route("/api/v3/time", time),
        Route("/api/v3/exchangeInfo", listing),
        Route("/fapi/v1/exchangeInfo", nothing_listed),
        Route("/dapi/v1/exchangeInfo", nothing_listed),
        Route("/api/v3/klines", klines),
    ]


def _klines(exchange: Exchange, request: Request, symbol: str | None) -> Response:
    query = request.query_params
    if symbol is None:
        return ERRORS.answer("symbol", 400)
    if query.get("interval") not in _INTERVALS:
        return ERRORS.answer("interval", 400)
    try:
        start, end = (int(query[name]) if name in query else None for name in ("startTime", "endTime"))
        limit = min(max(int(query.get("limit", _DEFAULT_LIMIT)), 1), MAX_LIMIT)
    except ValueError:
        return ERRORS.answer("parameter", 400)
    market = Market(symbol, query["interval"])
    if start is None:
        bars = exchange.tape.newest(market, _FAR if end is None else end, limit)
    else:
        bars = exchange.tape.first(market, start, _FAR if end is None else end, limit)
    return json_answer([kline(bar) for bar in bars])


def kline(bar: Bar) -> list[Any]:
    """Return a bar as the twelve fields of a kline."""
    prices = [f"{price:.8f}" for price in (bar.open, bar.high, bar.low, bar.close)]
    trades = 0 if bar.volume == 0 else max(1, round(bar.volume * 10))
    quote = f"{bar.volume * bar.close:.8f}"
    taker = [f"{bar.volume / 2:.8f}", f"{bar.volume * bar.close / 2:.8f}"]
    return [bar.open_ms, *prices, f"{bar.volume:.8f}", bar.close_ms, quote, trades, *taker, "0"]


def _entry(exchange: Exchange, symbol: str, listing: Listing) -> dict[str, Any]:
    base, quote = symbol.split("-")
    status = "BREAK" if exchange.faults.of_bars(Kind.HALTED, symbol) else "TRADING"
    return {
        "symbol": base + quote,
        "status": status,
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": ["SPOT"],
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": f"{1 / listing.price_scale:.8f}"}],
    }
