"""The second layer: one lean, hashed file per market and hour.

The file format is `domain.snapshot`'s business.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_hourly_snapshots(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `hourly_snapshots`."""

    @chain.asset(
        "hourly_snapshots",
        group="snapshots",
        deps=["raw_candles"],
        kinds={"python", "json"},
        tables=["snapshots/YYYY/MM/DD/HH/SYMBOL_TIMEFRAME.json"],
    )
    def hourly_snapshots(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult:
        """One JSON file per hour: bars as integer ticks, market summary, completeness, hash; revisions beside it."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = hourly_snapshots
    return asset
