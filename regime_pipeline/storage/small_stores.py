"""The small tables of a database, each behind a store of its own; `Warehouse` is them and the bulk tables.

Each store's module says what it keeps.
"""

from __future__ import annotations

from regime_pipeline.storage.alert_log import AlertStore
from regime_pipeline.storage.api_keys import AccessStore
from regime_pipeline.storage.grid_store import GridStore
from regime_pipeline.storage.hook_requests import HookStore
from regime_pipeline.storage.policy_store import PolicyStore
from regime_pipeline.storage.pool import ConnectionPool
from regime_pipeline.storage.snapshot_claims import SnapshotClaims


class SmallStores:
    """Grids, API keys, webhook requests, sent alerts, policies and the snapshot store's mark of one database."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.grids = GridStore(pool)
        self.access = AccessStore(pool)
        self.hooks = HookStore(pool)
        self.alerts = AlertStore(pool)
        self.policies = PolicyStore(pool)
        self.snapshot_claims = SnapshotClaims(pool)
