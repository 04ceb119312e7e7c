"""Backfills where runs go to workers: handed to Dagster's daemon, which cuts them into runs and sees them through.

See `pipeline.instance` for the home's own instance, whose runs go on in the process that asks for them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.utils import make_new_backfill_id

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.build import CHAIN_JOB
from regime_pipeline.pipeline.instance import is_deployment
from regime_pipeline.pipeline.partitions import partition_key, partition_step_ms

_BACKFILL_TAG: Final = "dagster/backfill"
_UNDER_WAY: Final = frozenset({BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING})
_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a backfill is.

    Parameters
    ----------
    status : str
        Dagster's word for it, in small letters: requested, completed_success, completed_failed, canceled, ...
    runs : int
        Runs that the daemon has made of it so far.
    ended, failed : int
        Those that are over, and those of them that did not succeed; a run that is tried again counts again.
    """

    status: str
    runs: int
    ended: int
    failed: int

    @property
    def is_over(self) -> bool:
        """Nothing will change any more."""
        return self.status not in {status.value.lower() for status in _UNDER_WAY}

    @property
    def is_success(self) -> bool:
        """Every partition is there."""
        return self.status in {"completed", "completed_success"}


def deployed_home() -> Path | None:
    """Return DAGSTER_HOME where its dagster.yaml hands runs to workers; None for a home that runs them itself."""
    folder = os.environ.get("DAGSTER_HOME", "")
    return Path(folder) if folder and is_deployment(Path(folder)) else None


def launch_backfill(
    definitions: dg.Definitions, instance: dg.DagsterInstance, markets: Sequence[Market], window: Window, grain: str
) -> str:
    """Ask the daemon for the whole chain of these markets' hours; return the backfill's id.

    Parameters
    ----------
    definitions : Definitions
        Of the chain; the code server's must be the same.
    instance : DagsterInstance
        The deployment's.
    markets : sequence of Market
        Which markets.
    window : Window
        Which hours; whole days where partitions are days.
    grain : {"hour", "day"}
        Length of a partition.
    """
    job = definitions.resolve_job_def(CHAIN_JOB)
    starts = range(window.start_ms, window.end_ms, partition_step_ms(grain))
    keys = [partition_key(market, start, grain) for market in markets for start in starts]
    subset = cast("dg.PartitionsDefinition", job.partitions_def).subset_with_partition_keys(keys)
    targets = AssetGraphSubset(  # type: ignore[call-arg]  # Dagster's decorator hides that the class is a named tuple
        partitions_subsets_by_asset_key=dict.fromkeys(job.asset_layer.executable_asset_keys, subset)
    )
    backfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=make_new_backfill_id(),
        asset_graph_subset=targets,
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        title=f"regime backfill, {len(markets)} markets",
        description=str(window),
        run_config=None,
    )
    instance.add_backfill(backfill)
    return str(backfill.backfill_id)


def watch_backfill(
    instance: dg.DagsterInstance, backfill_id: str, wait: Callable[[float], None] = time.sleep
) -> Iterator[BackfillProgress]:
    """Yield how far a backfill is, every two seconds, the last time when it is over."""
    while True:
        progress = _progress(instance, backfill_id)
        yield progress
        if progress.is_over:
            return
        wait(_LOOK_S)


def _progress(instance: dg.DagsterInstance, backfill_id: str) -> BackfillProgress:
    backfill = instance.get_backfill(backfill_id)
    runs = instance.get_runs(dg.RunsFilter(tags={_BACKFILL_TAG: backfill_id}))
    ended = [run for run in runs if run.is_finished]
    status = backfill.status.value.lower() if backfill else "canceled"
    return BackfillProgress(status, len(runs), len(ended), sum(not run.is_success for run in ended))
