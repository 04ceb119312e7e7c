"""The static dashboard: one folder of pages for every market, built after the chain.

See `dashboard` for the pages.
"""

from pathlib import Path

import dagster as dg

from regime_pipeline import __version__
from regime_pipeline.dashboard.build import build_site
from regime_pipeline.dashboard.site.writer import broken_links
from regime_pipeline.pipeline.assets.hourly_chain import OWNERS
from regime_pipeline.services.chain.workspace import Workspace

LINKS = "links_lead_somewhere"


def build_dashboard_site(folder: Path) -> dg.AssetsDefinition:
    """Return the asset `dashboard_site`, which writes into the folder; it has no partitions."""

    @dg.asset(
        name="dashboard_site",
        check_specs=[
            dg.AssetCheckSpec(
                LINKS, asset="dashboard_site", description="Every file that a page names is in the folder."
            )
        ],
        deps=["raw_candles", "features", "scores", "regime_verdicts", "grid_advice", "dashboard_hours"],
        group_name="output",
        kinds={"python", "html"},
        owners=OWNERS,
        code_version=__version__,
        backfill_policy=dg.BackfillPolicy.single_run(),  # so that a range of partitions may be asked of every asset
        metadata={"written_to": "site/"},
    )
    def dashboard_site(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult:
        """Pages of every market, readable from the folder itself; only markets whose rows changed are made again."""
        report = build_site(workspace, folder)
        context.log.info("Open %s", report.index)
        broken = broken_links(folder)
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(report.index),
                "markets": report.markets,
                "parts_made": len(report.made),
                "files_written": report.written,
                "site_bytes": report.size_bytes,
            },
            check_results=[
                dg.AssetCheckResult(passed=not broken, check_name=LINKS, metadata={"offending": len(broken)})
            ],
        )

    asset: dg.AssetsDefinition = dashboard_site
    return asset
