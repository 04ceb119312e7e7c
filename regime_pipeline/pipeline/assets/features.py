"""Raw features and discovered ranges at each hour's close.

The formulas are `domain.features`' business.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_features(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `features`."""

    @chain.asset(
        "features",
        group="features",
        deps=["hourly_snapshots"],
        kinds={"python", "postgres", "numba"},
        tables=["features"],
    )
    def features(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        """Raw features and discovered ranges at the hour's close, computed from the snapshots of the window alone."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = features
    return asset
