"""The first layer: closed candles from each market's source.

What a source is, and how completeness is judged, does not belong here.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import SOURCE_POOL, Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_raw_candles(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `raw_candles`."""

    @chain.asset(
        "raw_candles",
        group="candles",
        deps=[],
        kinds={"python", "postgres"},
        tables=["candles", "candle_revisions", "candle_hours"],
        pool=SOURCE_POOL,
    )
    def raw_candles(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        """Candles of the market that closed in the hour, from its source; restated ones keep their old values."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = raw_candles
    return asset
