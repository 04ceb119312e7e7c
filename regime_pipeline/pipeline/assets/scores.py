"""Percentile ranks and the five scores.

The blends are `domain.scores`' business.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_scores(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `scores`."""

    @chain.asset("scores", group="scores", deps=["features"], kinds={"python", "postgres", "numba"}, tables=["scores"])
    def scores(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        """Ranks against the trailing observations and the null table, blended into five scores from 0 to 100."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = scores
    return asset
