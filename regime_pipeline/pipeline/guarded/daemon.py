"""Dagster's daemon with patient `retries` and ends of backfills that wait for them; its texts count partitions."""

from __future__ import annotations

from dagster._core.definitions.partitions.subset.default import DefaultPartitionsSubset
from dagster._core.execution import asset_backfill
from dagster._daemon import controller
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.cli import main

from regime_pipeline.pipeline.guarded.backfill_ends import EndedTwice
from regime_pipeline.pipeline.guarded.retries import PatientRetries


def briefly(subset: DefaultPartitionsSubset) -> str:
    """Return how many partitions there are: a line for the debug log would name each of 840,960 at every look."""
    return f"{len(subset)} partitions"


if __name__ == "__main__":
    DefaultPartitionsSubset.__repr__ = briefly  # type: ignore[method-assign]
    have_ended = asset_backfill.backfill_runs_are_complete
    setattr(asset_backfill, have_ended.__name__, EndedTwice(have_ended))
    setattr(controller, EventLogConsumerDaemon.__name__, PatientRetries)
    main()
