"""Run launchers tell a run that is at work from one whose process, server or worker is gone."""

from __future__ import annotations

import json
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

from regime_pipeline.pipeline import celery_launcher
from regime_pipeline.pipeline.celery_launcher import WatchedCeleryRunLauncher
from regime_pipeline.pipeline.launchers import WatchedRunLauncher
from regime_pipeline_tests.conftest import REPOSITORY

WORKER, TASK = "dagster-1@here", "task-1"


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
        assert instance.run_retries_max_retries == 2


class Workers:
    """What Celery would tell: the state of the task, and the answers of workers."""

    def __init__(self, state: str, answers: list[dict[str, Any] | None]) -> None:
        self.state, self.answers = state, answers
        self.control = SimpleNamespace(inspect=self.inspect)

    def AsyncResult(self, task_id: str) -> SimpleNamespace:  # noqa: N802 - Celery's name
        assert task_id == TASK
        return SimpleNamespace(state=self.state, info={"pid": 1, "hostname": WORKER})

    def inspect(self, workers: list[str], timeout: float) -> SimpleNamespace:
        assert workers == [WORKER]
        return SimpleNamespace(active=lambda: self.answers.pop(0))


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> CeleryRunLauncher:
    monkeypatch.setattr(celery_launcher, "PATIENCE_S", 0.0)
    return WatchedCeleryRunLauncher("dagster", broker="memory://", backend="cache+memory://")


@pytest.mark.parametrize(
    ("state", "answers", "status"),
    [
        ("SUCCESS", [], WorkerStatus.SUCCESS),
        ("FAILURE", [], WorkerStatus.FAILED),
        ("PENDING", [], WorkerStatus.UNKNOWN),
        ("STARTED", [{WORKER: [{"id": TASK}]}], WorkerStatus.RUNNING),
        ("STARTED", [None, {WORKER: [{"id": TASK}]}], WorkerStatus.RUNNING),
        ("STARTED", [{WORKER: [{"id": "another"}]}], WorkerStatus.FAILED),
        ("STARTED", [None, None, None], WorkerStatus.FAILED),
    ],
)
def test_a_worker_that_does_not_answer_or_has_lost_the_run_is_gone(
    launcher: CeleryRunLauncher, state: str, answers: list[dict[str, Any] | None], status: WorkerStatus
) -> None:
    workers = Workers(state, answers)
    launcher.celery = workers
    run = dg.DagsterRun("market_chain", tags={DAGSTER_CELERY_TASK_ID_TAG: TASK})

    assert launcher.check_run_worker_health(run).status is status
    assert workers.answers == []
