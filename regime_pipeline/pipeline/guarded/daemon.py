"""Dagster's daemon, whose retries are patient (see `retries`); in its texts partitions are counted, not named."""

from __future__ import annotations

from dagster._core.definitions.partitions.subset.default import DefaultPartitionsSubset
from dagster._daemon import controller
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.cli import main

from regime_pipeline.pipeline.guarded.retries import PatientRetries


def briefly(subset: DefaultPartitionsSubset) -> str:
    """Return how many partitions there are: a line for the debug log would name each of 840,960 at every look."""
    return f"{len(subset)} partitions"


if __name__ == "__main__":
    DefaultPartitionsSubset.__repr__ = briefly  # type: ignore[method-assign]
    setattr(controller, EventLogConsumerDaemon.__name__, PatientRetries)
    main()
