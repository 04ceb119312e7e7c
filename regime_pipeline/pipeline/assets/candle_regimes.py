"""The 3D regime of every candle.

The rules are `domain.classifier`'s business.
"""

import dagster as dg

from regime_pipeline.pipeline.assets.chain import Chain, run_stage
from regime_pipeline.services.workspace import Workspace


def build_candle_regimes(chain: Chain) -> dg.AssetsDefinition:
    """Return the asset `candle_regimes`."""

    @chain.asset(
        "candle_regimes",
        group="regimes",
        deps=["raw_candles"],
        kinds={"python", "postgres", "numba"},
        tables=["candle_regime", "regime_period", "market_regimes"],
    )
    def candle_regimes(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult:
        """Trend x volatility x momentum of each candle that closed in the hour, from earlier candles only."""
        return run_stage(context, workspace)

    asset: dg.AssetsDefinition = candle_regimes
    return asset
