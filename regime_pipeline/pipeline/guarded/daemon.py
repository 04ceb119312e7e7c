"""Dagster's daemon, whose retries are patient (see `retries`)."""

from __future__ import annotations

from dagster._daemon import controller
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.cli import main

from regime_pipeline.pipeline.guarded.retries import PatientRetries

if __name__ == "__main__":
    setattr(controller, EventLogConsumerDaemon.__name__, PatientRetries)
    main()
