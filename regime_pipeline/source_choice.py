"""Which source a market has, made once per process: the part of the composition root that knows every source.

Sources know nothing of one another, nor of settings.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import track

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.market import Market
from regime_pipeline.services.markets_file import Universe
from regime_pipeline.settings import Settings
from regime_pipeline.sources.archive import ArchiveSource
from regime_pipeline.sources.archive_files import ArchiveFiles
from regime_pipeline.sources.base import CandleSource
from regime_pipeline.sources.ended import EndedSource
from regime_pipeline.sources.exchange import ExchangeSource
from regime_pipeline.sources.exchange_client import CcxtClient
from regime_pipeline.sources.exchange_retry import Patience
from regime_pipeline.sources.imported import ImportedSource
from regime_pipeline.sources.resampled import ResampledSource
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage.warehouse import Warehouse

FETCH_LIMIT_S: Final = 1_800.0
"""Longest that one fetch of one market goes on trying."""
_MANY_FILES: Final = 10
_Item = TypeVar("_Item")


class Sources:
    """Gives each market its source.

    Parameters
    ----------
    settings : Settings
        Addresses, seed and home.
    universe : Universe
        The markets.
    warehouse : Warehouse
        Holds imported candles.
    clock : callable
        Now in epoch milliseconds UTC.
    """

    def __init__(self, settings: Settings, universe: Universe, warehouse: Warehouse, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._universe = universe
        self._warehouse = warehouse
        self._clock = clock
        self._simulated = lru_cache(None)(self._make_simulated)
        self._exchange = lru_cache(None)(self._make_exchange)
        self._archive = lru_cache(None)(self._make_archive)
        hours = partial(warehouse.read_range, "candle_hours")
        self._imported = ImportedSource(warehouse.read_candles, hours, self._newest_close_ms)

    def __call__(self, market: Market) -> CandleSource:
        """Return a market's source; raises `UsageError` for a market that is not listed."""
        spec = self._universe.spec(market)
        source = self._of(market)
        if spec.until_ms is None:
            return source
        return EndedSource(source, spec.until_ms, Candles.empty(market, spec.price_scale))

    def _of(self, market: Market) -> CandleSource:
        spec = self._universe.spec(market)
        if spec.source == "simulated":
            return self._simulated(spec.price_scale)
        if spec.source == "exchange":
            return self._exchange(spec.exchange)
        if spec.source == "archive":
            return self._archive(spec.exchange)
        return self._imported if spec.source == "files" else ResampledSource(self(market.on("1m")))

    def _scale_of(self, market: Market) -> int:
        return self._universe.spec(market).price_scale

    def _newest_close_ms(self, market: Market) -> int | None:
        newest = self._warehouse.latest(market)
        return None if newest is None else newest + market.step_ms

    def _make_simulated(self, price_scale: int) -> CandleSource:
        return SimulatedSource(self._settings.simulation_seed, self._clock, price_scale)

    def _make_exchange(self, name: str) -> CandleSource:
        client = CcxtClient(name, self._settings.exchange_url, self._settings.exchange_timeout_seconds)
        return ExchangeSource(client, self._scale_of, _patience())

    def _make_archive(self, exchange: str) -> CandleSource:
        from regime_pipeline.sources.archive_http import ArchiveHttp  # httpx, which other sources do without

        http = ArchiveHttp(self._settings.archive_url, self._settings.exchange_timeout_seconds, _patience())
        files = ArchiveFiles(self._settings.home / "archive", http.get)
        return ArchiveSource(files, self._exchange(exchange), self._scale_of, self._clock, _shown)


def _patience() -> Patience:
    return Patience(time.sleep, random.random, time.monotonic, FETCH_LIMIT_S)


def _shown(days: Iterable[_Item], total: int) -> Iterable[_Item]:
    """Show a progress bar where a person looks on and there is much to wait for."""
    if total < _MANY_FILES or not sys.stderr.isatty():
        return days
    return track(days, "Archive", total, console=Console(stderr=True), transient=True)
