"""Asset checks: each stage's contract, judged in the step that writes, on its slice and on what was open before.

See `services.chain.checks` for what must hold, `services.chain.open_faults` for what is open.
"""

from collections.abc import Sequence

import dagster as dg

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.catalog import listed
from regime_pipeline.services.chain.checks import CHECKS, MAX_LISTED, AssetCheck
from regime_pipeline.services.chain.open_faults import Judgement, KeptValues, judge
from regime_pipeline.services.chain.workspace import Workspace


def check_specs(asset: str) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset; a blocking one that fails keeps the later stages from running."""
    return [
        dg.AssetCheckSpec(check.name, asset=asset, description=check.description, blocking=check.is_blocking)
        for check in CHECKS
        if check.asset == asset
    ]


def check_results(
    asset: str, workspace: Workspace, slices: Sequence[tuple[Market, Window]], kept: KeptValues
) -> list[dg.AssetCheckResult]:
    """Run every check of an asset over the slices; one result each, with the offending hours in its metadata.

    What an earlier run found and what still stands fails the check too, but does not keep this run's rows from the
    later stages.
    """
    checks = [check for check in CHECKS if check.asset == asset]
    return [_result(check, judgement) for check, judgement in judge(checks, workspace, slices, kept)]


def _result(check: AssetCheck, judgement: Judgement) -> dg.AssetCheckResult:
    is_warning = check.is_warning or (check.is_blocking and not judgement.here)
    earlier = [f"{market}: {faults}" for market, faults in judgement.elsewhere.items()]
    return dg.AssetCheckResult(
        passed=not judgement.open_count,
        asset_key=check.asset,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        description=f"{len(judgement.here)} in this run, {judgement.open_count - len(judgement.here)} from earlier ones"
        if judgement.open_count
        else None,
        metadata={
            "checked": judgement.checked,
            "offending": judgement.open_count,
            **listed("where", judgement.here[:MAX_LISTED]),
            **listed("from earlier runs", earlier[:MAX_LISTED]),
        },
    )
