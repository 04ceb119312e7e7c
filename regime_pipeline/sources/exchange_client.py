"""One exchange through ccxt: a page of candles, its clock, and every failure as one kind of error.

ccxt is imported when a client is created. See `exchange` for paging, closed bars and coverage.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, Final, Protocol
from weakref import finalize

import orjson

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.retry import RequestError

_LOCK = Lock()


def exchange_class(name: str) -> Any:
    """Return ccxt's class of an exchange, importing that exchange alone.

    Notes
    -----
    ccxt's own `__init__` imports every exchange. While one is imported, an empty package takes its place; it is
    gone afterwards, so `import ccxt` elsewhere gets the whole, with the same classes.

    Raises
    ------
    UsageError
        ccxt is not installed, or knows no such exchange; names near ones.
    """
    with _LOCK:
        spec = find_spec("ccxt")
        if spec is None or spec.submodule_search_locations is None:
            raise UsageError(
                f"Candles of {name} need ccxt, which is not installed.", "pip install 'regime-pipeline[exchange]'"
            )
        folders = list(spec.submodule_search_locations)
        known = [path.stem for path in Path(folders[0]).glob("[a-z]*.py")]
        if name not in known:
            near = ", ".join(get_close_matches(name, known)) or "see its list of exchanges"
            raise UsageError(f"There is no exchange '{name}' (near: {near}).", "Correct it in markets.toml.")
        return getattr(_imported(name, folders), name)


def _imported(name: str, folders: list[str]) -> ModuleType:
    """Import one module of ccxt, through the whole package only where that is imported already."""
    if "ccxt" in sys.modules:
        return import_module(f"ccxt.{name}")
    package = ModuleType("ccxt")
    package.__path__ = folders
    sys.modules["ccxt"] = package
    try:
        return import_module(f"ccxt.{name}")
    finally:
        del sys.modules["ccxt"]


def error_classes() -> Any:
    """Return the module of ccxt's error classes; an exchange must have been imported."""
    return sys.modules["ccxt.base.errors"]


Row = list[float]
"""Open time in epoch milliseconds, open, high, low, close, volume."""
SHARE_OF_RATE: Final = 3
"""Processes that may ask an exchange at once (the pool `candle_source`): each keeps to a third of its rate."""
NEWEST_ONLY_BARS: Final = {"kraken": 720}
"""Exchanges that know only so many of the newest bars."""
_OPTIONS: Final[dict[str, Any]] = {
    "binance": {"fetchMarkets": {"types": ["spot"]}},
    "kucoin": {"fetchMarkets": {"types": ["spot"], "fetchTickersFees": False}},
}
"""What spares questions about markets that are not spot."""
_PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_WAITING_STATUSES: Final = frozenset({418, 429, 503})
_OK: Final = 200


class ExchangeClient(Protocol):
    """What the source needs of an exchange."""

    @property
    def name(self) -> str:
        """Its name, for errors and records."""
        ...

    @property
    def page_bars(self) -> int:
        """Most bars of one page."""
        ...

    @property
    def known_bars(self) -> int | None:
        """How many of the newest bars it knows; None for all."""
        ...

    def now_ms(self) -> int:
        """Time of the exchange's clock, epoch milliseconds UTC."""
        ...

    def page(self, market: Market, start_ms: int, end_ms: int) -> list[Row]:
        """Return rows that open in [start, end), in any order; rows outside are allowed, the open bar too."""
        ...


class CcxtClient:
    """An exchange that ccxt knows by name.

    Parameters
    ----------
    name : str
        ccxt's name of the exchange, for example `binance`.
    base_url : str
        Replaces scheme and host of every address (a simulator, a proxy); empty for the exchange's own.
    timeout_s : float
        Of one request.

    Raises
    ------
    UsageError
        ccxt is not installed, or knows no such exchange.
    """

    def __init__(self, name: str, base_url: str = "", timeout_s: float = 20.0) -> None:
        made = exchange_class(name)
        self.name = name
        self._errors = error_classes()
        settings = {"enableRateLimit": True, "timeout": round(timeout_s * 1000), "options": _OPTIONS.get(name, {})}
        self._exchange: Any = made(settings)
        self._exchange.rateLimit *= SHARE_OF_RATE
        self._exchange.on_rest_response = self._noted
        self._status = 0
        finalize(self, self._exchange.session.close)
        if base_url:
            self._exchange.urls["api"] = _rebased(self._exchange.urls["api"], base_url.rstrip("/"))

    @property
    def page_bars(self) -> int:
        """Most bars of one page: one less than ccxt knows of, since some exchanges count the bar at the end in."""
        spot = self._exchange.features.get("spot") or {}
        return int((spot.get("fetchOHLCV") or {}).get("limit") or 500) - 1

    @property
    def known_bars(self) -> int | None:
        """How many of the newest bars it knows; None for all."""
        return NEWEST_ONLY_BARS.get(self.name)

    def now_ms(self) -> int:
        """Time of the exchange's clock; ours where it has none."""
        if not self._exchange.has.get("fetchTime"):
            return time.time_ns() // 1_000_000
        return int(self._asked(self._exchange.fetch_time))

    def page(self, market: Market, start_ms: int, end_ms: int) -> list[Row]:
        """Return one page of rows; errors as `RequestError`."""
        symbol = self._symbol(market)
        bars = (end_ms - start_ms) // market.step_ms
        parameters = {} if self.known_bars else {"until": end_ms - 1}
        rows: list[Row] = self._asked(
            lambda: self._exchange.fetch_ohlcv(symbol, market.timeframe, start_ms, bars, parameters)
        )
        return rows

    def _symbol(self, market: Market) -> str:
        """The exchange's spelling; refuses a symbol it does not list, naming near ones."""
        self._asked(self._exchange.load_markets)
        wanted = market.symbol.replace("-", "/")
        if wanted not in self._exchange.markets:
            near = ", ".join(get_close_matches(wanted, self._exchange.markets)) or "none"
            raise RequestError(f"it lists no {market.symbol} (near: {near})", is_transient=False)
        if market.timeframe not in self._exchange.timeframes:
            raise RequestError(f"it has no bars of {market.timeframe}", is_transient=False)
        return wanted

    def _noted(self, *answer: Any) -> str:
        """Note each answer's HTTP status; refuse a sound one that is not whole JSON (ccxt would read it as empty)."""
        status, _, url, method, _, body, *_ = answer
        self._status = status
        try:
            if status == _OK:
                orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self._errors.BadResponse(f"{self.name} {method} {url}: the response is not complete JSON") from error
        return str(body).strip()

    def _asked(self, ask: Callable[[], Any]) -> Any:
        self._status = 0
        try:
            return ask()
        except self._errors.BaseError as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> RequestError:
        """Classify by the HTTP status where there is a bad one, else by ccxt's kind of error."""
        passing = (self._errors.NetworkError, self._errors.BadResponse, self._errors.NullResponse)
        is_transient = isinstance(error, passing) if self._status in {0, _OK} else self._status in _PASSING_STATUSES
        headers = {k.lower(): v for k, v in (self._exchange.last_response_headers or {}).items()}
        wait = str(headers.get("retry-after", "")) if self._status in _WAITING_STATUSES else ""
        return RequestError(
            f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            is_transient=is_transient,
            wait_s=float(wait) if wait.isdigit() else 0.0,
        )


def _rebased(urls: Any, base_url: str) -> Any:
    """Replace scheme and host of every address in a nested structure."""
    if isinstance(urls, dict):
        return {name: _rebased(value, base_url) for name, value in urls.items()}
    return re.sub(r"^https?://[^/]+", base_url, urls) if isinstance(urls, str) else urls
