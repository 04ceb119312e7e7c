"""Dagster's Celery run launcher that notices when a worker is gone, and the worker itself; needs the extra `celery`.

How runs are handed to workers is dagster-celery's part.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import dagster as dg
from celery.exceptions import OperationalError
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.cli import get_config_dir, get_worker_name
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from regime_pipeline.domain.errors import StorageError

PRELOADED: Final = "regime_pipeline.bootstrap,regime_pipeline.pipeline.build"
"""What each run's process finds loaded already: code and libraries, but not `definitions`, which reads the markets."""


def command(options: list[str]) -> list[str]:
    """Return the command of a worker with a name of its own; `options` are Celery's."""
    ours = ["-n", get_worker_name(None), "-I", PRELOADED]
    return [sys.executable, "-m", "celery", "-A", "dagster_celery.app", "worker", *ours, *options]


def environment(config: str) -> dict[str, str]:
    """Return this environment with the settings of `config` where `dagster_celery.app` looks for them.

    Parameters
    ----------
    config : str
        A file like `docker/celery.yaml`; its `env:` entries are read from the environment.
    """
    settings: str = get_config_dir(config)  # type: ignore[no-untyped-call]
    path = [settings, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def main() -> None:
    """Become the worker."""
    config, *options = sys.argv[1:]
    words = command(options)
    os.execve(words[0], words, environment(config))  # noqa: S606


if __name__ == "__main__":
    main()


PATIENCE_S: Final = 5.0
"""How long a worker has to answer."""
ATTEMPTS: Final = 3
"""How often it is asked before it counts as gone."""


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """The Celery launcher with a health check that asks the workers themselves.

    Celery's own state of a task stays STARTED indefinitely where the whole worker was killed, is forgotten where Redis
    lost it, and is that of a task which found nothing left to do where two daemons handed the run out twice.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask Celery for the task's worker and that for the run, then every worker; a run that nobody has is lost."""
        found = super().check_run_worker_health(run)
        is_running = found.status is WorkerStatus.RUNNING and self._named_worker_has(run)
        if is_running or found.status is WorkerStatus.FAILED or self._is_over(run):
            return found
        if self._any_has(None, run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "Its worker is gone or has lost the run.")

    def answering_workers(self) -> list[str]:
        """Return the names of the workers that answer within the patience; raises `StorageError` without a broker."""
        try:
            with self.celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=PATIENCE_S)
                answers = self.celery.control.ping(timeout=PATIENCE_S, connection=connection)
        except OperationalError as fault:
            raise StorageError(
                "The broker does not answer, so no run reaches a worker.", "Start Redis, or set REGIME_CELERY_BROKER."
            ) from fault
        return sorted(name for answer in answers for name in answer)

    def _named_worker_has(self, run: dg.DagsterRun) -> bool:
        """Whether the worker that Celery names is at the run; as long as it names none yet, that counts as well."""
        started = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG]).info
        worker = started.get("hostname") if isinstance(started, dict) else None
        return worker is None or self._any_has([worker], run.run_id)

    def _is_over(self, run: dg.DagsterRun) -> bool:
        """Whether the run has ended since monitoring looked."""
        now = self._instance.get_run_by_id(run.run_id)
        return now is None or now.is_finished

    def _any_has(self, workers: list[str] | None, run_id: str) -> bool:
        """Whether one of these living workers, or of all, is at a task of the run."""
        for _ in range(ATTEMPTS):
            answers = self.celery.control.inspect(workers, timeout=PATIENCE_S).active() or {}
            if answers:
                return any(run_id in str(task["kwargs"]) for tasks in answers.values() for task in tasks)
        return False
