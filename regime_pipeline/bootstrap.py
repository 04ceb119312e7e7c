"""The composition root: settings become databases, sources and a workspace; every face and Dagster start here.

It only chooses the parts. See `settings` for what can be set, `services` for use cases.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, TypeVar

from rich.console import Console
from rich.progress import track

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import NO_TRADE
from regime_pipeline.policy import Policy, default_policy, load_policy
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.chain.stages import config_hashes
from regime_pipeline.services.chain.workspace import Workspace, system_clock
from regime_pipeline.services.last_good_markets import load_last_good
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.universe import Universe, load_universe
from regime_pipeline.settings import Settings
from regime_pipeline.sources.archive import ArchiveFiles, ArchiveSource
from regime_pipeline.sources.base import CandleSource
from regime_pipeline.sources.derived import EndedSource, ResampledSource
from regime_pipeline.sources.exchange import LAG_MS, SETTLE_MS, ExchangeSource
from regime_pipeline.sources.exchange_client import CcxtClient
from regime_pipeline.sources.imported import ImportedSource
from regime_pipeline.sources.quiet import QuietSource
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage.databases import DatabaseUrls, resolve_database
from regime_pipeline.storage.disk_room import require_room
from regime_pipeline.storage.revision import is_current
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse

if TYPE_CHECKING:
    import dagster as dg


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
        if spec.absent_bars == NO_TRADE:
            source = QuietSource(source, self._stored)
        if spec.until_ms is None:
            return source
        return EndedSource(source, spec.until_ms, Candles.empty(market, spec.price_scale))

    def _of(self, market: Market) -> CandleSource:
        spec = self._universe.spec(market)
        if spec.source == "simulated":
            moved = spec.simulated_from_ms
            return self._simulated(spec.price_scale, 0 if moved is None else self._universe.start_ms - moved)
        if spec.source == "exchange":
            return self._exchange(spec.exchange)
        if spec.source == "archive":
            return self._archive(spec.exchange)
        return self._imported if spec.source == "files" else ResampledSource(self(market.on("1m")))

    def _scale_of(self, market: Market) -> int:
        return self._universe.spec(market).price_scale

    def _lag_of(self, market: Market) -> int:
        """Return how long a bar may be late: of a quiet market, one that was traded is there before it closes."""
        return SETTLE_MS if self._universe.spec(market).absent_bars == NO_TRADE else LAG_MS

    def _stored(self, market: Market, start_ms: int, end_ms: int) -> Candles:
        """Return the stored candles; none of a market that was never stored."""
        try:
            return self._warehouse.read_candles(market, start_ms, end_ms)
        except MissingDataError:
            return Candles.empty(market, self._scale_of(market))

    def _newest_close_ms(self, market: Market) -> int | None:
        newest = self._warehouse.latest(market)
        return None if newest is None else newest + market.step_ms

    def _make_simulated(self, price_scale: int, shift_ms: int) -> CandleSource:
        return SimulatedSource(self._settings.simulation_seed, self._clock, price_scale, shift_ms)

    def _make_exchange(self, name: str) -> CandleSource:
        client = CcxtClient(name, self._settings.exchange_url, self._settings.exchange_timeout_seconds)
        return ExchangeSource(client, self._scale_of, _patience(), self._lag_of)

    def _make_archive(self, exchange: str) -> CandleSource:
        from regime_pipeline.sources.archive_http import ArchiveHttp  # httpx, which other sources do without

        http = ArchiveHttp(self._settings.archive_url, self._settings.exchange_timeout_seconds, _patience())
        files = ArchiveFiles(self._settings.home / "archive", http.get)
        return ArchiveSource(files, self._exchange(exchange), self._scale_of, self._clock, _shown)


def _patience() -> RetryPolicy:
    return RetryPolicy.of_this_machine(FETCH_LIMIT_S)


def _shown(days: Iterable[_Item], total: int) -> Iterable[_Item]:
    """Show a progress bar where a person looks on and there is much to wait for."""
    if total < _MANY_FILES or not sys.stderr.isatty():
        return days
    return track(days, "Archive", total, console=Console(stderr=True), transient=True)


def open_databases(settings: Settings) -> DatabaseUrls:
    """Return reachable databases, ours at the right revision: the embedded one upgrades itself, others are checked.

    Raises
    ------
    StorageError
        A server cannot be reached or is too old, or its schema is not this version's; names the command that helps.
    """
    urls = resolve_database(
        settings.home, settings.database_url, settings.dagster_database_url, settings.postgres_account
    )
    if not is_current(urls.regimes):
        from regime_pipeline.storage.admin import migrate  # alembic: half a second that is rarely needed

        (migrate.upgrade if urls.is_embedded else migrate.check)(urls.regimes)
    return urls


def read_universe(settings: Settings) -> Universe:
    """Return the markets and the span of their partitions."""
    return load_universe(settings.markets, settings.partition_start, settings.partition_end)


def _read_last_good(settings: Settings) -> Universe:
    return load_last_good(settings.markets, settings.home, settings.partition_start, settings.partition_end)


def build_definitions(
    settings: Settings, universe: Universe | None = None, *, is_whole_location: bool = True
) -> dg.Definitions:
    """Return Dagster's definitions for these settings; opens no database, and no file but markets and policy.

    Parameters
    ----------
    settings : Settings
        Everything that can be set.
    universe : Universe, optional
        The markets; those of the settings' markets file if None, which every run reads again: while it is broken, the
        last sound list.
    is_whole_location : bool
        See `pipeline.build.build_pipeline`.
    """
    from regime_pipeline.dashboard.build import FOLDER
    from regime_pipeline.pipeline.build import build_pipeline  # Dagster takes two seconds to import

    return build_pipeline(
        universe or _read_last_good(settings),
        partial(_open_pipelines_workspace, settings, universe),
        site=settings.home / FOLDER,
        grain=settings.partition,
        backfill=settings.backfill,
        versions=config_hashes(read_policy(settings), default_null_table()),
        alert_url=settings.alert_url,
        hook=(settings.hook_url, settings.hook_secret),
        alerts=settings.alerts,
        are_sensors_on=settings.sensors,
        dashboard_url=settings.dashboard_url,
        is_whole_location=is_whole_location,
    )


def read_policy(settings: Settings) -> Policy:
    """Return the policy of these settings: a file of the user's, or the one shipped with the package."""
    return load_policy(settings.policy) if settings.policy else default_policy()


def _open_pipelines_workspace(settings: Settings, universe: Universe | None) -> AbstractContextManager[Workspace]:
    require_room(settings.home)
    return open_workspace(settings, universe=universe or _read_last_good(settings))


@contextmanager
def open_workspace(
    settings: Settings, clock: Callable[[], int] = system_clock, universe: Universe | None = None
) -> Iterator[Workspace]:
    """Open everything that the stages need, and close it again; without a universe that of the markets file."""
    warehouse = Warehouse(open_databases(settings).regimes)
    universe = universe or read_universe(settings)
    try:
        yield Workspace(
            warehouse=warehouse,
            snapshots=SnapshotStore(settings.snapshot_root, by_day=settings.partition == "day"),
            universe=universe,
            source_of=Sources(settings, universe, warehouse, clock),
            policy=read_policy(settings),
            nulls=default_null_table(),
            clock=clock,
            partition_ms=DAY_MS if settings.partition == "day" else HOUR_MS,
        )
    finally:
        warehouse.close()
