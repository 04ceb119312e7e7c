"""Dagster's daemon, whose retries are patient, without what it warns of at the first start of every new home."""

from __future__ import annotations

import logging
from typing import Final

from dagster._daemon import controller
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.cli import main

from regime_pipeline.pipeline.guarded.retries import PatientRetries

FIRST_START: Final = "No cursor for event type"
"""Of the consumer of run events: that it has none is what a new home is like."""


def is_news(record: logging.LogRecord) -> bool:
    """Say whether a line of the daemon's log is worth a reader's time."""
    return not record.getMessage().startswith(FIRST_START)


if __name__ == "__main__":
    logging.getLogger("dagster.daemon.EventLogConsumerDaemon").addFilter(is_news)
    setattr(controller, EventLogConsumerDaemon.__name__, PatientRetries)
    main()
