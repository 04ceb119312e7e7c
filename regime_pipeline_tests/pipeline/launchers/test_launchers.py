"""Run launchers tell a run that is at work from one whose process, server or worker is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import serialize_value
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from regime_pipeline.pipeline.launchers import celery as celery_launcher
from regime_pipeline.pipeline.launchers.celery import WatchedCeleryRunLauncher
from regime_pipeline.pipeline.launchers.default import WatchedRunLauncher
from regime_pipeline_tests.conftest import REPOSITORY

WORKER, TASK, RUN = "dagster-1@here", "task-1", "3f1c2b9e-0000-4000-8000-000000000001"


def run_at(socket: Path) -> dg.DagsterRun:
    return dg.DagsterRun("market_chain", tags={GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(socket)})})


@pytest.mark.parametrize(("can_cancel", "status"), [(True, WorkerStatus.RUNNING), (False, WorkerStatus.FAILED)])
def test_the_code_server_knows_whether_a_run_is_at_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, can_cancel: bool, status: WorkerStatus
) -> None:
    asked: list[str] = []

    def answer(self: DagsterGrpcClient, request: CanCancelExecutionRequest) -> str:
        asked.append(request.run_id)
        return serialize_value(CanCancelExecutionResult(can_cancel=can_cancel))

    monkeypatch.setattr(DagsterGrpcClient, "can_cancel_execution", answer)
    launcher, run = WatchedRunLauncher(), run_at(tmp_path / "socket")

    assert launcher.supports_check_run_worker_health
    assert launcher.check_run_worker_health(run).status is status
    assert asked == [run.run_id]


def test_a_run_whose_code_server_is_gone_is_lost(tmp_path: Path) -> None:
    found = WatchedRunLauncher().check_run_worker_health(run_at(tmp_path / "no-such-socket"))

    assert found.status is WorkerStatus.FAILED
    assert "gone" in (found.msg or "")


def test_the_shipped_instance_has_the_launcher(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text("utf-8"), "utf-8")

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert instance.run_monitoring_enabled
        assert instance.run_retries_max_retries == 5


class Workers:
    """What Celery would tell: the state of the task, and what each worker that is asked is at."""

    def __init__(self, state: str, answers: list[dict[str, list[str]] | None]) -> None:
        self.state, self.answers = state, answers
        self.asked: list[list[str] | None] = []
        self.control = SimpleNamespace(inspect=self.inspect)

    def AsyncResult(self, task_id: str) -> SimpleNamespace:  # noqa: N802 - Celery's name
        assert task_id == TASK
        return SimpleNamespace(state=self.state, info={"pid": 1, "hostname": WORKER})

    def inspect(self, workers: list[str] | None, timeout: float) -> SimpleNamespace:
        assert timeout == celery_launcher.PATIENCE_S
        self.asked.append(workers)
        return SimpleNamespace(active=self.active)

    def active(self) -> dict[str, list[dict[str, Any]]] | None:
        answer = self.answers.pop(0)
        return answer and {worker: [task_of(run) for run in runs] for worker, runs in answer.items()}


def task_of(run_id: str) -> dict[str, Any]:
    """A task as Celery's workers tell of it."""
    return {"id": "any", "kwargs": {"execute_job_args_packed": {"__class__": "ExecuteRunArgs", "run_id": run_id}}}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> CeleryRunLauncher:
    monkeypatch.setattr(celery_launcher, "PATIENCE_S", 0.0)
    made = WatchedCeleryRunLauncher("dagster", broker="memory://", backend="cache+memory://")
    made.register_instance(instance)
    return made


def check(
    launcher: CeleryRunLauncher, instance: dg.DagsterInstance, workers: Workers, status: dg.DagsterRunStatus
) -> WorkerStatus:
    """What the launcher says of a run that monitoring took for started."""
    launcher.celery = workers
    instance.add_run(dg.DagsterRun("market_chain", run_id=RUN, status=status))
    seen = dg.DagsterRun("market_chain", run_id=RUN, tags={DAGSTER_CELERY_TASK_ID_TAG: TASK})
    return launcher.check_run_worker_health(seen).status


ONE, ALL = [WORKER], None
"""Whom the launcher asks."""


@pytest.mark.parametrize(
    ("state", "answers", "status", "asked"),
    [
        ("FAILURE", [], WorkerStatus.FAILED, []),
        ("STARTED", [{WORKER: [RUN]}], WorkerStatus.RUNNING, [ONE]),
        ("STARTED", [None, {WORKER: [RUN]}], WorkerStatus.RUNNING, [ONE, ONE]),
        ("STARTED", [{WORKER: ["another"]}, {WORKER: ["another"]}], WorkerStatus.FAILED, [ONE, ALL]),
        ("STARTED", [None] * 6, WorkerStatus.FAILED, [ONE] * 3 + [ALL] * 3),
        ("STARTED", [None] * 3 + [{"other": [RUN]}], WorkerStatus.RUNNING, [ONE] * 3 + [ALL]),
        ("SUCCESS", [{WORKER: [], "other": [RUN]}], WorkerStatus.RUNNING, [ALL]),
        ("SUCCESS", [{WORKER: []}], WorkerStatus.FAILED, [ALL]),
        ("PENDING", [{WORKER: [RUN]}], WorkerStatus.RUNNING, [ALL]),
        ("PENDING", [{}] * 3, WorkerStatus.FAILED, [ALL] * 3),
    ],
)
def test_a_run_that_no_worker_has_is_lost(
    launcher: CeleryRunLauncher,
    instance: dg.DagsterInstance,
    state: str,
    answers: list[dict[str, list[str]] | None],
    status: WorkerStatus,
    asked: list[list[str] | None],
) -> None:
    workers = Workers(state, list(answers))

    assert check(launcher, instance, workers, dg.DagsterRunStatus.STARTED) is status
    assert workers.asked == asked
    assert workers.answers == []


@pytest.mark.parametrize(
    ("state", "asked", "status"),
    [("SUCCESS", [], WorkerStatus.SUCCESS), ("STARTED", [ONE], WorkerStatus.RUNNING)],
)
def test_a_run_that_has_ended_meanwhile_is_not_lost(
    launcher: CeleryRunLauncher,
    instance: dg.DagsterInstance,
    state: str,
    asked: list[list[str] | None],
    status: WorkerStatus,
) -> None:
    workers = Workers(state, [{WORKER: []}])

    assert check(launcher, instance, workers, dg.DagsterRunStatus.SUCCESS) is status
    assert workers.asked == asked
