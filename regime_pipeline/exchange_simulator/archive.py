"""The tree of the bulk archive: daily and monthly zips of klines, each with its CHECKSUM file.

A day is published once it is over, a month likewise. Facts of the form: the exchange's public data repository.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from regime_pipeline.domain.market import Market
from regime_pipeline.exchange_simulator.binance import ERRORS, kline
from regime_pipeline.exchange_simulator.exchange import Exchange
from regime_pipeline.exchange_simulator.faults import Kind
from regime_pipeline.sources.files.names import span_of

MICROSECONDS_FROM: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z, from when on the spot archive counts in microseconds."""
HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_NAME: Final = re.compile(r"([A-Z0-9]+)-(\w+)-(\d{4})-(\d{2})(?:-(\d{2}))?\.zip(\.CHECKSUM)?")


def routes(exchange: Exchange) -> list[Route]:
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
