"""The flat rows that dashboards and SQL users read.

Rendering them does not belong here.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_dashboard_hours(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `dashboard_hours`."""

    @chain.asset(
        "dashboard_hours",
        group="dashboard",
        deps=["hourly_snapshots", "candle_regimes", "scores", "regime_verdicts"],
        kinds={"python", "postgres"},
        tables=["dashboard_hours"],
    )
    def dashboard_hours(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult:
        """One flat row per market and hour: prices, verdict, scores, range, 3D regime and the deciding reason."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = dashboard_hours
    return asset
