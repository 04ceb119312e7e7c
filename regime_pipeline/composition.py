"""The composition root: settings become a workspace; every face and Dagster's definitions start here.

No rule and no use case belongs here, only the choice of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from regime_pipeline.null_data import default_null_table
from regime_pipeline.policy import Policy, default_policy, load_policy
from regime_pipeline.services.dashboard_site import FOLDER
from regime_pipeline.services.markets_file import Universe, load_universe
from regime_pipeline.services.stages import config_hashes
from regime_pipeline.services.workspace import Workspace, system_clock
from regime_pipeline.settings import Settings
from regime_pipeline.source_choice import Sources
from regime_pipeline.storage.databases import DatabaseUrls, resolve_database
from regime_pipeline.storage.revision import is_current
from regime_pipeline.storage.snapshot_files import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse

if TYPE_CHECKING:
    import dagster as dg


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
        from regime_pipeline.storage import migrate  # alembic: half a second that is rarely needed

        (migrate.upgrade if urls.is_embedded else migrate.check)(urls.regimes)
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
        hook=(settings.hook_url, settings.hook_secret),
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
            source_of=Sources(settings, universe, warehouse, clock),
            policy=read_policy(settings),
            nulls=default_null_table(),
            clock=clock,
        )
    finally:
        warehouse.close()
