"""What every partitioned asset of the chain shares: one partition space, one backfill policy, one way to run a stage.

An asset of its own does not belong here; each has its file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import dagster as dg
import numpy as np

from regime_pipeline import __version__
from regime_pipeline.pipeline.checks import check_results, check_specs
from regime_pipeline.pipeline.metadata import add_partition_metadata
from regime_pipeline.pipeline.partitions import MarketHours, Slice
from regime_pipeline.services.stages import STAGES, StageReport
from regime_pipeline.services.workspace import Workspace

OWNERS = ["team:regimes"]
SOURCE_POOL = "candle_source"
"""Steps that ask exchanges; the instance limits how many run at once, so that rate limits hold."""
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3), warn_window=timedelta(hours=2))
"""Of the badge in the UI; a backfill of old hours turns it green too, so the check `market_fresh` looks at the data."""
_STAGE = {stage.name: stage for stage in STAGES}


@dataclass(frozen=True)
class Chain:
    """The shared definition that each layer's factory is given.

    Parameters
    ----------
    partitions : dg.MultiPartitionsDefinition
        Hour x market; the same object for every asset.
    backfill_policy : dg.BackfillPolicy
        The same for every asset, so that parent and child share a run.
    versions : mapping of str to str
        Hash of the policy behind each asset; with another one Dagster shows what was materialized before as stale.
    """

    partitions: dg.MultiPartitionsDefinition
    backfill_policy: dg.BackfillPolicy
    versions: Mapping[str, str] = field(default_factory=dict)

    def asset(
        self, name: str, *, group: str, deps: list[str], kinds: set[str], tables: list[str], pool: str | None = None
    ) -> Callable[..., Any]:
        """Return the asset decorator with everything that the chain shares filled in."""
        return dg.asset(
            name=name,
            check_specs=check_specs(name),
            deps=deps,
            group_name=group,
            kinds=kinds,
            owners=OWNERS,
            code_version="-".join(part for part in (__version__, self.versions.get(name)) if part),
            partitions_def=self.partitions,
            backfill_policy=self.backfill_policy,
            metadata={"written_to": ", ".join(tables)},
            freshness_policy=FRESHNESS,
            pool=pool,
        )


def run_stage(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Run the stage that has the asset's name over every slice of the run, and report it per partition.

    A source that fails leaves its market's hours missing and is named; where none answered the run fails.
    """
    stage = _STAGE[context.asset_key.to_user_string()]
    config_hash = stage.config_hash(workspace.policy, workspace.nulls)
    run_id = workspace.start_run(config_hash, context.run.run_id)
    written = unchanged = 0
    failures = []
    slices = list(MarketHours(context))
    for part in slices:
        report = stage.run(workspace, run_id, part.market, part.window)
        add_partition_metadata(context, _per_partition(part, report))
        written, unchanged = written + report.written, unchanged + report.unchanged
        if report.failure:
            context.log.warning(report.failure)
            failures.append(report.failure)
        context.log.info(
            "%s %s: %d hours written, %d unchanged", part.market, part.window, report.written, report.unchanged
        )
    if failures and len(failures) == len(slices):
        raise dg.Failure(f"No source answered. {failures[0]}")
    shown: dict[str, Any] = {"policy_hash": config_hash} if config_hash else {}
    if failures:
        shown["source_failures"] = dg.MetadataValue.md("\n".join(f"* {failure}" for failure in failures))
    return dg.MaterializeResult(
        metadata={**shown, "hours_written": written, "hours_unchanged": unchanged},
        check_results=check_results(stage.name, workspace, [(part.market, part.window) for part in slices]),
    )


def _per_partition(part: Slice, report: StageReport) -> dict[str, dict[str, int | float | str]]:
    """Scalars of the last hour of each partition; in hour partitions that is the hour itself."""
    hours_each = len(part.window) // len(part.keys)
    last_hours = np.arange(1, len(part.keys) + 1) * hours_each - 1
    columns = {name: values[last_hours].tolist() for name, values in report.per_hour.items()}
    return {
        key: {name: values[row] for name, values in columns.items() if values[row] == values[row]}  # NaN != NaN
        for row, key in enumerate(part.keys)
    }
