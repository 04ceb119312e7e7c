"""The hourly chain: eight partitioned assets from raw candles to dashboard rows, and how one of them runs.

Each asset is thin: what it reads, computes and writes is the stage of the same name in `services.chain.stages`. See
`partitions` for the hours and markets of a run, `asset_checks` for the checks, `build` for jobs and sensors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import dagster as dg
import numpy as np
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator
from dagster._core.storage.tags import RETRY_ON_ASSET_OR_OP_FAILURE_TAG

from regime_pipeline import __version__
from regime_pipeline.domain.errors import BadCandlesError, BadSnapshotError, MissingDataError, UsageError
from regime_pipeline.pipeline.asset_checks import check_results, check_specs
from regime_pipeline.pipeline.catalog import ROW_COUNT, listed, table_metadata
from regime_pipeline.pipeline.partition_order import report_in_order
from regime_pipeline.pipeline.partitions import MarketHours, Slice
from regime_pipeline.services.chain.stages import STAGES, Stage, StageReport
from regime_pipeline.services.chain.workspace import Workspace

OWNERS = ["team:regimes"]
SOURCE_POOL = "candle_source"
"""Steps that ask exchanges; the instance limits how many run at once, so that rate limits hold."""
MOST_PLOTS = 24
"""Up to so many markets each has its own plots in the UI; of more the page would be too long to read."""
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3), warn_window=timedelta(hours=2))
"""Of the badge in the UI; a backfill of old hours turns it green too, so the check `market_fresh` looks at the data."""
_STAGE = {stage.name: stage for stage in STAGES}
_LASTING = (UsageError, MissingDataError, BadCandlesError, BadSnapshotError)
"""What is as wrong at the next try."""
StageFunction = Callable[[dg.AssetExecutionContext, Workspace], dg.MaterializeResult]


@dataclass(frozen=True)
class Chain:
    """What all assets of the chain share.

    Parameters
    ----------
    partitions : dg.MultiPartitionsDefinition
        Hour x market; the same object for every asset.
    backfill_policy : dg.BackfillPolicy
        The same for every asset, so that parent and child share a run.
    versions : mapping of str to str
        Hash of the policy behind each asset; with another one Dagster shows what was materialized before as stale.
    sources : sequence of dg.AssetSpec
        External assets that the first of the chain reads.
    """

    partitions: dg.MultiPartitionsDefinition
    backfill_policy: dg.BackfillPolicy
    versions: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[dg.AssetSpec] = ()


AssetOfChain = Callable[[Chain], dg.AssetsDefinition]


def hourly_asset(
    *, group: str, deps: list[str], kinds: set[str], tables: list[str], pool: str | None = None
) -> Callable[[StageFunction], AssetOfChain]:
    """Declare an asset of the chain; like `dg.asset`, but what all of them share is filled in by `build_chain`.

    The one that has no `deps` reads the sources of candles.
    """

    def declare(function: StageFunction) -> AssetOfChain:
        def define(chain: Chain) -> dg.AssetsDefinition:
            name = function.__name__
            return dg.asset(
                name=name,
                check_specs=check_specs(name),
                deps=deps or chain.sources,
                group_name=group,
                kinds=kinds,
                owners=OWNERS,
                code_version="-".join(part for part in (__version__, chain.versions.get(name)) if part),
                partitions_def=chain.partitions,
                backfill_policy=chain.backfill_policy,
                metadata=table_metadata(tables),
                freshness_policy=FRESHNESS,
                pool=pool,
            )(function)

        return define

    return declare


def run_stage(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Run the stage that has the asset's name over every slice of the run, and report it per partition.

    A source that fails leaves its market's hours missing and is named; where none answered the run fails. What trying
    again cannot mend fails with its sentence first, and is not tried again; the other markets are written all the same.
    """
    stage = _STAGE[context.asset_key.to_user_string()]
    try:
        return _run_slices(context, workspace, stage)
    except _LASTING as error:
        context.instance.add_run_tags(context.run.run_id, {RETRY_ON_ASSET_OR_OP_FAILURE_TAG: "false"})
        raise dg.Failure(str(error), metadata={"what to do": error.todo}, allow_retries=False) from None


def _run_slices(context: dg.AssetExecutionContext, workspace: Workspace, stage: Stage) -> dg.MaterializeResult:
    config_hash = stage.config_hash(workspace.policy, workspace.nulls)
    run_id = workspace.start_run(config_hash, context.run.run_id)
    slices = list(MarketHours(context))
    reports = _reports(context, stage.run_together(workspace, run_id, [(p.market, p.window) for p in slices]))
    is_plotted_apart = len(workspace.universe.markets) <= MOST_PLOTS
    parts = zip(slices, reports, strict=True)
    found = (_per_partition(part, report, is_plotted_apart).items() for part, report in parts)
    add_partition_metadata(context, {key: scalars for each in found for key, scalars in each})
    failures = [report.failure for report in reports if report.failure]
    if failures and len(failures) == len(slices):
        raise dg.Failure(f"No source answered. {failures[0]}")
    totals = {name: sum(getattr(report, name) for report in reports) for name in ("written", "unchanged")}
    context.log.info("%d slices: %d hours written, %d unchanged", len(slices), totals["written"], totals["unchanged"])
    totals = {f"hours_{name}": count for name, count in totals.items()}
    context.log_event(dg.AssetObservation(context.asset_key, description="the whole run", metadata=totals))
    shown: dict[str, Any] = {"policy_hash": config_hash} if config_hash else {}
    shown |= listed("source_failures", failures)
    return dg.MaterializeResult(
        metadata=shown,
        check_results=check_results(
            stage.name,
            workspace,
            [(part.market, part.window) for part in slices],
            context.instance.daemon_cursor_storage,
        ),
    )


def _reports(context: dg.AssetExecutionContext, found: Sequence[StageReport | Exception]) -> list[StageReport]:
    """The reports of all markets; raises the error of the first one that failed, now that the others are stored."""
    reports = [each for each in found if isinstance(each, StageReport)]
    errors = [each for each in found if isinstance(each, Exception)]
    said = [*(str(error) for error in errors[1:]), *(report.failure for report in reports if report.failure)]
    if said:
        context.log.warning("\n".join(said))
    if errors:
        raise errors[0]
    return reports


def _per_partition(part: Slice, report: StageReport, is_plotted_apart: bool) -> dict[str, dict[str, int | float | str]]:
    """Scalars of the last hour of each partition; in hour partitions that is the hour itself.

    Dagster draws a plot for every name, over all partitions: measured values bear their market's name where that gives
    few enough plots, so that none jumps from one market to the next.
    """
    hours_each = len(part.window) // len(part.keys)
    last_hours = np.arange(1, len(part.keys) + 1) * hours_each - 1
    columns = {
        f"{name} {part.market}" if is_plotted_apart and values.dtype.kind == "f" else name: values[last_hours].tolist()
        for name, values in report.per_hour.items()
    }
    columns[ROW_COUNT] = _rows(report, hours_each)
    return {
        key: {name: values[row] for name, values in columns.items() if values[row] == values[row]}  # NaN != NaN
        for row, key in enumerate(part.keys)
    }


def _rows(report: StageReport, hours_each: int) -> list[int]:
    """Rows of each partition: of candles where the stage counts those, else one an hour."""
    per_hour = report.per_hour.get("candles")
    if per_hour is None:
        return [hours_each] * (len(next(iter(report.per_hour.values()))) // hours_each)
    return [int(count) for count in np.add.reduceat(per_hour, np.arange(0, len(per_hour), hours_each))]


def add_partition_metadata(
    context: dg.AssetExecutionContext, per_partition: Mapping[str, Mapping[str, int | float | str]]
) -> None:
    """Attach different metadata to each partition of a range run.

    Notes
    -----
    `context.add_asset_metadata(partition_key=...)` does the same, but lists every key of the range at each call, so a
    range of n partitions costs n squared: 504 hours took more than ten minutes. This writes the same accumulator once
    (docs/decisions/0003-partition-metadata.md); a test pins it against the supported Dagster range.
    """
    step = context.get_step_execution_context()
    held = step._metadata_accumulator  # noqa: SLF001
    added: dict[Any, Mapping[str, Any]] = {
        AssetMetadataHandle(asset_key=context.asset_key, partition_key=key): metadata
        for key, metadata in per_partition.items()
    }
    merged = OutputMetadataAccumulator(per_output_metadata={**held.per_output_metadata, **added})
    step._metadata_accumulator = merged  # noqa: SLF001


@hourly_asset(
    group="ingest",
    deps=[],
    kinds={"python", "postgres"},
    tables=["candles", "candle_revisions", "candle_hours"],
    pool=SOURCE_POOL,
)
def raw_candles(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Candles of the market that closed in the hour, from its source; restated ones keep their old values."""
    return run_stage(context, workspace)


@hourly_asset(
    group="ingest",
    deps=["raw_candles"],
    kinds={"python", "json"},
    tables=["snapshots/YYYY/MM/DD/HH/SYMBOL_TIMEFRAME.json", "snapshots/YYYY/MM/DD/SYMBOL_TIMEFRAME.day"],
)
def hourly_snapshots(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """One JSON file per hour, or one file per day: bars as integer ticks, summary, completeness, hash; revisions."""
    return run_stage(context, workspace)


@hourly_asset(
    group="analysis",
    deps=["raw_candles"],
    kinds={"python", "postgres", "numba"},
    tables=["candle_regime", "regime_period", "market_regimes"],
)
def candle_regimes(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Trend x volatility x momentum of each candle that closed in the hour, from earlier candles only."""
    return run_stage(context, workspace)


@hourly_asset(group="analysis", deps=["hourly_snapshots"], kinds={"python", "postgres", "numba"}, tables=["features"])
def features(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Raw features and discovered ranges at the hour's close, computed from the snapshots of the window alone."""
    return run_stage(context, workspace)


@hourly_asset(group="analysis", deps=["features"], kinds={"python", "postgres", "numba"}, tables=["scores"])
def scores(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """Ranks against the trailing observations and the null table, blended into five scores from 0 to 100."""
    return run_stage(context, workspace)


@hourly_asset(group="analysis", deps=["features", "scores"], kinds={"python", "postgres"}, tables=["regime_verdicts"])
def regime_verdicts(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """RANGE_OK, RANGE_WEAK, TREND, TRANSITION or INSUFFICIENT_DATA, with confidence and weights of the alternatives."""
    return run_stage(context, workspace)


@hourly_asset(
    group="output",
    deps=["hourly_snapshots", "features", "scores", "regime_verdicts"],
    kinds={"python", "postgres"},
    tables=["grid_advice"],
)
def grid_advice(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """What to do with the symbol's grid at each hour's close, against the version configured then, and why."""
    return run_stage(context, workspace)


@hourly_asset(
    group="output",
    deps=["raw_candles", "hourly_snapshots", "candle_regimes", "features", "scores", "regime_verdicts"],
    kinds={"python", "postgres"},
    tables=["dashboard_hours"],
)
def dashboard_hours(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
    """One flat row per market and hour: prices, verdict, scores, range, 3D regime and the deciding reason."""
    return run_stage(context, workspace)


CHAIN: tuple[AssetOfChain, ...] = (
    raw_candles,
    hourly_snapshots,
    candle_regimes,
    features,
    scores,
    regime_verdicts,
    grid_advice,
    dashboard_hours,
)
"""In order, from the source to the dashboard."""


def build_chain(chain: Chain) -> list[dg.AssetsDefinition]:
    """Return the assets of the chain with their partitions, backfill policy and code versions."""
    report_in_order()
    return [define(chain) for define in CHAIN]
