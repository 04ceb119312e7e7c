"""Dagster's default run launcher that notices when a run's process is gone, so that Dagster runs it again.

Starting and ending runs is Dagster's part. See `celery` for runs on other machines.
"""

from __future__ import annotations

import json

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from regime_pipeline.pipeline.local_runs import LOCK_TAG, is_at_work


class WatchedRunLauncher(DefaultRunLauncher):
    """The default launcher with a health check.

    Without one, runs that were under way when the machine or `regime up` was killed would count as started
    indefinitely, and each would hold one of the four slots.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may ask; Dagster's own launcher says no."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the code server that started the run whether it still executes it, or look at a local run's lock.

        What other programs run in a process of their own, `dagster job execute` say, cannot be seen, and is left alone.
        """
        if GRPC_INFO_TAG not in run.tags:
            return _health(LOCK_TAG not in run.tags or is_at_work(run.tags[LOCK_TAG]))
        place = json.loads(run.tags[GRPC_INFO_TAG])
        client = DagsterGrpcClient(
            host=place.get("host", "localhost"), port=place.get("port"), socket=place.get("socket")
        )
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.FAILED, "The code server that ran it is gone.")
        return _health(deserialize_value(answer, CanCancelExecutionResult).can_cancel)


def _health(is_alive: bool) -> CheckRunHealthResult:
    if is_alive:
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.FAILED, "Its process is gone.")
