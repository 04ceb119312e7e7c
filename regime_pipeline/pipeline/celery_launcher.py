"""Dagster's Celery run launcher, taught to notice that a worker is gone; needs the extra `celery`.

How runs are handed to workers stays dagster-celery's business.
"""

from __future__ import annotations

from typing import Final

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

PATIENCE_S: Final = 5.0
"""How long a worker has to answer."""
ATTEMPTS: Final = 3
"""How often it is asked before it counts as gone."""


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """The Celery launcher with a health check that asks the worker itself.

    Celery's own state of a task stays STARTED for ever where the whole worker was killed.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask Celery, and where that says running, the worker: gone if it does not answer or does not have the run."""
        found = super().check_run_worker_health(run)
        if found.status is not WorkerStatus.RUNNING:
            return found
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        started = self.celery.AsyncResult(task_id).info
        worker = started.get("hostname") if isinstance(started, dict) else None
        if worker is None or self._has(worker, task_id):
            return found
        return CheckRunHealthResult(WorkerStatus.FAILED, f"The worker {worker} is gone or has lost the run.")

    def _has(self, worker: str, task_id: str) -> bool:
        """Whether a living worker of that name is at the task."""
        for _ in range(ATTEMPTS):
            answer = self.celery.control.inspect([worker], timeout=PATIENCE_S).active() or {}
            if worker in answer:
                return any(task["id"] == task_id for task in answer[worker])
        return False
