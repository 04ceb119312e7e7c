"""The composition root: settings become a workspace; every face and Dagster's definitions start here.

No rule and no use case belongs here, only the choice of parts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from regime_pipeline.domain.market import Market
from regime_pipeline.null_data import default_null_table
from regime_pipeline.policy import Policy, default_policy, load_policy
from regime_pipeline.services.dashboard_site import FOLDER
from regime_pipeline.services.markets_file import Universe, load_universe
from regime_pipeline.services.stages import config_hashes
from regime_pipeline.services.workspace import Workspace, system_clock
from regime_pipeline.settings import Settings
from regime_pipeline.sources.base import CandleSource
from regime_pipeline.sources.exchange import ExchangeSource
from regime_pipeline.sources.exchange_client import CcxtClient
from regime_pipeline.sources.exchange_retry import Patience
from regime_pipeline.sources.imported import ImportedSource
from regime_pipeline.sources.resampled import ResampledSource
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage import migrate
from regime_pipeline.storage.databases import DatabaseUrls, resolve_database
from regime_pipeline.storage.snapshot_files import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse

if TYPE_CHECKING:
    import dagster as dg

FETCH_LIMIT_S: Final = 1_800.0
"""Longest that one fetch of one market goes on trying."""


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
    if urls.is_embedded:
        migrate.upgrade(urls.regimes)
    else:
        migrate.check(urls.regimes)
    return urls


def read_universe(settings: Settings) -> Universe:
    """Return the markets and the span of their partitions."""
    return load_universe(settings.markets, settings.partition_start, settings.partition_end)


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return Dagster's definitions for these settings; opens no database, and no file but markets and policy."""
    from regime_pipeline.pipeline.build import build_pipeline  # Dagster takes two seconds to import

    return build_pipeline(
        read_universe(settings),
        partial(open_workspace, settings),
        site=settings.home / FOLDER,
        grain=settings.partition,
        backfill=settings.backfill,
        versions=config_hashes(read_policy(settings), default_null_table()),
        alert_url=settings.alert_url,
    )


def read_policy(settings: Settings) -> Policy:
    """Return the policy of these settings: a file of the user's, or the one shipped with the package."""
    return load_policy(settings.policy) if settings.policy else default_policy()


@contextmanager
def open_workspace(settings: Settings, clock: Callable[[], int] = system_clock) -> Iterator[Workspace]:
    """Open everything that the stages need, and close it again."""
    warehouse = Warehouse(open_databases(settings).regimes)
    universe = read_universe(settings)
    try:
        yield Workspace(
            warehouse=warehouse,
            snapshots=SnapshotStore(settings.snapshot_root),
            universe=universe,
            source_of=_sources(settings, universe, warehouse, clock),
            policy=read_policy(settings),
            nulls=default_null_table(),
            clock=clock,
        )
    finally:
        warehouse.close()


def _sources(
    settings: Settings, universe: Universe, warehouse: Warehouse, clock: Callable[[], int]
) -> Callable[[Market], CandleSource]:
    """Return the function that gives each market its source."""

    @lru_cache(None)
    def simulated(price_scale: int) -> CandleSource:
        return SimulatedSource(settings.simulation_seed, clock, price_scale)

    def newest_close_ms(market: Market) -> int | None:
        newest = warehouse.latest(market)
        return None if newest is None else newest + market.step_ms

    imported = ImportedSource(warehouse.read_candles, partial(warehouse.read_range, "candle_hours"), newest_close_ms)

    @lru_cache(None)
    def exchange(name: str) -> CandleSource:
        client = CcxtClient(name, settings.exchange_url, settings.exchange_timeout_seconds)
        patience = Patience(time.sleep, random.random, time.monotonic, FETCH_LIMIT_S)
        return ExchangeSource(client, lambda market: universe.spec(market).price_scale, patience)

    def source_of(market: Market) -> CandleSource:
        spec = universe.spec(market)
        if spec.source == "simulated":
            return simulated(spec.price_scale)
        if spec.source == "exchange":
            return exchange(spec.exchange)
        return imported if spec.source == "files" else ResampledSource(source_of(market.on("1m")))

    return source_of
