"""Tests of `sources.exchange_client`: ccxt's own parsers on four forms of answers, and how failures are classed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ccxt
import pytest

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.retry import RequestError
from regime_pipeline.settings import Settings
from regime_pipeline.sources.exchange_client import SHARE_OF_RATE, CcxtClient

MARKET = Market("ETH-USDT", "1h")
START = 1_700_006_400_000
SECOND = START + HOUR_MS
PRICES = ["10.0", "12.5", "9.5", "11.0"]  # open, high, low, close
_O, _H, _L, _C = PRICES
ANSWERS: dict[str, Any] = {
    "binance": [[t, _O, _H, _L, _C, "7.0", t + HOUR_MS - 1, "70", 3, "1", "1", "0"] for t in (START, SECOND)],
    "kucoin": {
        "code": "200000", "data": [[str(t // 1000), _O, _C, _H, _L, "7.0", "70"] for t in (SECOND, START)],
    },
    "kraken": {
        "error": [],
        "result": {"ETHUSDT": [[t // 1000, _O, _H, _L, _C, "10.5", "7.0", 3] for t in (START, SECOND)], "last": 0},
    },
    "bybit": {
        "retCode": 0, "retMsg": "OK", "time": START,
        "result": {"symbol": "ETHUSDT", "category": "spot",
                   "list": [[str(t), _O, _H, _L, _C, "7.0", "70"] for t in (SECOND, START)]},
    },
}  # fmt: skip


def client(name: str, answer: Callable[[str], Any]) -> CcxtClient:
    """A client whose exchange lists one symbol and answers requests from a function of the address."""
    made = CcxtClient(name, "http://127.0.0.1:1/")
    exchange = made._exchange
    exchange.enableRateLimit = False
    market = {"id": "ETHUSDT", "symbol": "ETH/USDT", "base": "ETH", "quote": "USDT", "baseId": "ETH", "quoteId": "USDT"}
    kind = {"type": "spot", "spot": True, "swap": False, "future": False, "option": False, "contract": False}
    limits = {"precision": {"amount": 1e-8, "price": 0.01}, "limits": {}, "active": True, "info": {}}
    exchange.set_markets([{**market, **kind, **limits, "linear": None, "inverse": None}])
    exchange.load_markets = lambda *_: exchange.markets

    def fetch(url: str, *_: Any, **__: Any) -> Any:
        assert url.startswith("http://127.0.0.1:1/"), url
        return answer(url)

    exchange.fetch = fetch
    return made


@pytest.mark.parametrize("name", ANSWERS)
def test_each_form_becomes_the_same_rows(name: str) -> None:
    asked: list[str] = []
    one = client(name, lambda url: (asked.append(url), json.loads(json.dumps(ANSWERS[name])))[1])

    rows = one.page(MARKET, START, SECOND + HOUR_MS)

    assert sorted(rows) == [[START, 10.0, 12.5, 9.5, 11.0, 7.0], [SECOND, 10.0, 12.5, 9.5, 11.0, 7.0]]
    assert len(asked) == 1
    assert one.page_bars in (719, 999, 1499)
    assert one.known_bars == (720 if name == "kraken" else None)


def test_the_rate_is_shared_with_the_other_processes() -> None:
    assert CcxtClient("binance")._exchange.rateLimit == SHARE_OF_RATE * ccxt.binance().rateLimit


def test_unknown_names_are_refused_with_near_ones() -> None:
    with pytest.raises(UsageError, match=r"no exchange 'binanse' \(near: binance"):
        CcxtClient("binanse")
    one = client("binance", lambda _: [])
    with pytest.raises(RequestError, match=r"lists no ETC-USDT \(near: ETH/USDT\)") as symbol:
        one.page(Market("ETC-USDT", "1h"), START, SECOND)
    assert not symbol.value.is_transient


def failing(error: Exception, status: int = 0, headers: dict[str, str] | None = None) -> RequestError:
    def answer(_: str) -> Any:
        one._status = status
        raise error

    one = client("binance", answer)
    one._exchange.last_response_headers = headers
    with pytest.raises(RequestError) as raised:
        one.page(MARKET, START, SECOND)
    return raised.value


@pytest.mark.parametrize(
    ("error", "status", "headers", "is_transient", "wait_s"),
    [
        (ccxt.RequestTimeout("binance GET http://x"), 0, None, True, 0.0),
        (ccxt.NetworkError("connection reset"), 0, None, True, 0.0),
        (ccxt.ExchangeNotAvailable("binance GET http://x 503 <html>"), 503, None, True, 0.0),
        (ccxt.ExchangeNotAvailable("binance GET http://x 503 {}"), 503, {"Retry-After": "9"}, True, 9.0),
        (ccxt.ExchangeNotAvailable("binance GET http://x 451 {}"), 451, None, False, 0.0),
        (ccxt.ExchangeNotAvailable("binance GET http://x 404 {}"), 404, None, False, 0.0),
        (ccxt.DDoSProtection("binance 429 Too Many {}"), 429, {"Retry-After": "17"}, True, 17.0),
        (ccxt.DDoSProtection("binance 429 Too Many {}"), 429, {"retry-after": "soon"}, True, 0.0),
        (ccxt.DDoSProtection("binance 418 I'm a teapot {}"), 418, {"Retry-After": "120"}, False, 120.0),
        (ccxt.ExchangeError('kucoin {"code":"429000"}'), 429, None, True, 0.0),
        (ccxt.RateLimitExceeded('bybit {"retCode":10006}'), 200, None, True, 0.0),
        (ccxt.BadRequest('binance {"code":-1120,"msg":"Invalid interval 503."}'), 400, None, False, 0.0),
        (ccxt.BadResponse("binance answered half a JSON"), 200, None, True, 0.0),
        (ccxt.ExchangeError("binance says no"), 0, None, False, 0.0),
    ],
)
def test_what_passes_is_tried_again_and_nothing_else(
    error: Exception, status: int, headers: dict[str, str] | None, is_transient: bool, wait_s: float
) -> None:
    found = failing(error, status, headers)

    assert (found.is_transient, found.wait_s) == (is_transient, wait_s)
    assert type(error).__name__ in found.what


def test_the_clock_is_the_exchanges_own() -> None:
    assert client("binance", lambda _: {"serverTime": START + 5}).now_ms() == START + 5


def test_a_workspace_gives_each_market_its_exchange(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    entry = '[[markets]]\nsymbol = "{}-USDT"\ntimeframes = ["1h"]\nsource = "exchange"\nexchange = "{}"\n'
    text = (
        "[partitions]\nstart = 2026-09-01T00:00:00Z\n" + entry.format("ETH", "binance") + entry.format("BTC", "kraken")
    )
    (home / "markets.toml").write_text(text, "utf-8")

    with open_workspace(Settings(home=home, exchange_url="http://127.0.0.1:1")) as workspace:
        sources = [workspace.source_of(market) for market in workspace.universe.markets]

    assert [source.venue for source in sources] == ["binance", "kraken"]
