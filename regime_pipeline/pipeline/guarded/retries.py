"""A lost run's retry that waits for a code server or a database that is away.

Dagster's daemon tries to launch it once, and gives the run up for good where that fails in this second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final

from dagster._core.errors import DagsterInvalidSubsetError
from dagster._core.storage.dagster_run import DagsterRun, RunRecord
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.auto_run_reexecution import auto_run_reexecution as dagster_retries
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

PATIENCE_S: Final = 3600.0
"""As long as the queue waits for a code server (`max_user_code_failure_retries` in dagster.yaml)."""
NOTHING_LEFT: Final = "All steps had succeeded before the run was lost: there is nothing left to retry."
FIRST_START: Final = "No cursor for event type"
"""What is warned of at the first start of every new home: that it has none is what a new home is like."""


def is_news(record: logging.LogRecord) -> bool:
    """Say whether a line of the log is worth a reader's time."""
    return not record.getMessage().startswith(FIRST_START)


class TryAgainError(BaseException):
    """Passes through Dagster's handling of errors, which would go on to later runs and forget this one."""


class PatientRetries(EventLogConsumerDaemon):
    """Dagster's daemon of retries, which looks at the same runs again at its next tick where one cannot be launched.

    Dagster's own functions decide what is retried, and launch no run twice.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._logger.addFilter(is_news)
        self._clock = clock
        self._failing_since: float | None = None

    @property
    def handle_updated_runs_fns(
        self,
    ) -> Sequence[Callable[[IWorkspaceProcessContext, Sequence[RunRecord], logging.Logger], Iterator[Any]]]:
        """What is called with the runs that have ended since the last tick."""
        return [self._retry]

    def run_iteration(self, workspace_process_context: IWorkspaceProcessContext) -> Generator[Any, None, None]:
        """Look at the runs that have ended; they stay news while one of them waits."""
        try:
            yield from super().run_iteration(workspace_process_context)
        except TryAgainError as waiting:
            self._logger.warning("A lost run waits to be launched again: %s", waiting.__cause__)

    def _retry(
        self, context: IWorkspaceProcessContext, records: Sequence[RunRecord], logger: logging.Logger
    ) -> Iterator[Any]:
        try:
            error = yield from self._retry_each(context, [record.dagster_run for record in records])
        except Exception as failed:
            error = failed
        if error is None:
            self._failing_since = None
            return
        self._failing_since = self._clock() if self._failing_since is None else self._failing_since
        if self._clock() - self._failing_since < PATIENCE_S:
            raise TryAgainError from error
        yield from dagster_retries.consume_new_runs_for_automatic_reexecution(context, records, logger)
        self._failing_since = None

    @staticmethod
    def _retry_each(
        context: IWorkspaceProcessContext, runs: Sequence[DagsterRun]
    ) -> Generator[None, None, Exception | None]:
        """Launch again what can be; return the first error, None where there is none to wait for."""
        error = None
        for run in dagster_retries.filter_runs_to_should_retry(runs, context.instance):
            yield
            try:
                dagster_retries.retry_run(run, context)
            except DagsterInvalidSubsetError:
                context.instance.report_engine_event(NOTHING_LEFT, run)
                context.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
            except Exception as failed:
                error = error or failed
        return error
