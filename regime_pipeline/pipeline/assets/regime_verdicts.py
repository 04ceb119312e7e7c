"""The hourly verdict.

The rules are `domain.verdict`'s business.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_regime_verdicts(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `regime_verdicts`."""

    @chain.asset(
        "regime_verdicts",
        group="verdicts",
        deps=["features", "scores"],
        kinds={"python", "postgres"},
        tables=["regime_verdicts"],
    )
    def regime_verdicts(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult:
        """RANGE_OK, RANGE_WEAK, TREND, TRANSITION or INSUFFICIENT_DATA, with confidence, rivals and factors."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = regime_verdicts
    return asset
