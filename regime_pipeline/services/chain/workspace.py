"""What every stage works with, in one value: warehouse, snapshots, sources, universe, policy, null table and clock.

See `bootstrap` for where they come from (environment, files).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from regime_pipeline import __version__
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.policy import Policy
from regime_pipeline.services.universe import Universe
from regime_pipeline.sources.base import CandleSource
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse


def system_clock() -> int:
    """Return the time now, epoch milliseconds UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Workspace:
    """Everything a stage reads from or writes to.

    Parameters
    ----------
    warehouse : Warehouse
        The tables.
    snapshots : SnapshotStore
        The hourly snapshot files.
    universe : Universe
        Markets and their sources.
    source_of : callable
        Gives the candle source of a market.
    policy : Policy
        Every threshold.
    nulls : NullTable
        What features and scores look like where there is no regime.
    clock : callable
        Gives epoch milliseconds UTC.
    partition_ms : int
        Length of a partition, milliseconds: runs compute whole ones, so an hour of today may not be had alone.
    """

    warehouse: Warehouse
    snapshots: SnapshotStore
    universe: Universe
    source_of: Callable[[Market], CandleSource]
    policy: Policy
    nulls: NullTable
    clock: Callable[[], int] = system_clock
    partition_ms: int = HOUR_MS

    def record_policy(self, policy_hash: str) -> None:
        """Keep the policy in force under the hash of the rows that it decides, so that they can be explained later."""
        self.warehouse.policies.record(policy_hash, self.policy.model_dump(mode="json"))

    def start_run(self, config_hash: str, dagster_run_id: str | None = None) -> int:
        """Record a run and return its id, which is in every row that the run writes."""
        return self.warehouse.start_run(__version__, config_hash, dagster_run_id)
