"""Asset checks: each stage's contract, judged on the slice that the run has written, in the step that wrote it.

See `services.chain.checks` for what must hold.
"""

from collections.abc import Sequence

import dagster as dg

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.checks import CHECKS, MAX_LISTED, AssetCheck, CheckResult, findings
from regime_pipeline.services.chain.workspace import Workspace


def check_specs(asset: str) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset; a blocking one that fails keeps the later stages from running."""
    return [
        dg.AssetCheckSpec(check.name, asset=asset, description=check.description, blocking=check.is_blocking)
        for check in CHECKS
        if check.asset == asset
    ]


def check_results(
    asset: str, workspace: Workspace, slices: Sequence[tuple[Market, Window]]
) -> list[dg.AssetCheckResult]:
    """Run every check of an asset over the slices; one result each, with the offending hours in its metadata."""
    checks = tuple(check for check in CHECKS if check.asset == asset)
    return [_result(check, finding) for check, finding in findings(checks, workspace, slices)]


def _result(check: AssetCheck, finding: CheckResult) -> dg.AssetCheckResult:
    listed = finding.offending[:MAX_LISTED]
    return dg.AssetCheckResult(
        passed=not finding.offending,
        asset_key=check.asset,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.WARN if check.is_warning else dg.AssetCheckSeverity.ERROR,
        metadata={
            "checked": finding.checked,
            "offending": len(finding.offending),
            **({"where": dg.MetadataValue.md("\n".join(f"* {place}" for place in listed))} if listed else {}),
        },
    )
