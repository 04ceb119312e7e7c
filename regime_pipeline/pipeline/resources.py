"""The one resource of the pipeline: the workspace, opened for a run and closed after it.

See `bootstrap` for what is in a workspace.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import dagster as dg

from regime_pipeline.services.chain.workspace import Workspace

WORKSPACE_KEY = "workspace"


def workspace_resource(open_workspace: Callable[[], AbstractContextManager[Workspace]]) -> dg.ResourceDefinition:
    """Return the resource that opens a workspace when a run starts; loading definitions opens nothing."""

    def resource_fn(_: dg.InitResourceContext) -> Iterator[Workspace]:
        with open_workspace() as workspace:
            workspace.warehouse.snapshot_claims.require(workspace.snapshots)
            yield workspace

    return dg.ResourceDefinition(
        resource_fn=resource_fn,
        description="Warehouse, snapshot store, candle sources, policy, null table and clock.",
    )
