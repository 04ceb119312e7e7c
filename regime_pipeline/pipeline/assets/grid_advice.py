"""Advice on the configured grids.

Configuring, stopping and restarting a grid do not belong here; no asset ever does.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_grid_advice(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `grid_advice`."""

    @chain.asset(
        "grid_advice",
        group="grids",
        deps=["hourly_snapshots", "features", "regime_verdicts"],
        kinds={"python", "postgres"},
        tables=["grid_advice"],
    )
    def grid_advice(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        """What to do with the symbol's grid at each hour's close, against the version configured then, and why."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = grid_advice
    return asset
