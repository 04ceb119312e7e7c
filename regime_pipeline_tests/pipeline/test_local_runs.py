"""Tests of `pipeline.local_runs`: a run whose process was killed ends, and gives back what it had claimed."""

from __future__ import annotations

import datetime
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.monitoring import concurrency
from dagster._time import get_current_datetime

from regime_pipeline.pipeline.instance import open_instance
from regime_pipeline.pipeline.launchers.default import WatchedRunLauncher
from regime_pipeline.pipeline.local_runs import LOCK_TAG, end_lost_runs, is_at_work, run_lock
from regime_pipeline.storage import file_locks
from regime_pipeline.storage.file_locks import FileLock
from regime_pipeline.storage.urls import dagster_url

POOL, PLACES = "candle_source", 3
HOLD = """import sys
from pathlib import Path
from regime_pipeline.storage.file_locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.try_lock(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def instance(tmp_path: Path, database_url: str) -> Iterator[dg.DagsterInstance]:
    with open_instance(tmp_path, dagster_url(database_url)) as made:
        yield made


@pytest.fixture
def killed(instance: dg.DagsterInstance) -> str:
    """The tag of a local run whose process was killed: it leaves its file, without a lock."""
    with run_lock(instance) as (_, tags):
        path = Path(tags[LOCK_TAG].partition(":")[2])
        assert is_at_work(tags[LOCK_TAG])
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert is_at_work(tags[LOCK_TAG])
        process.kill()
    assert path.exists()
    return tags[LOCK_TAG]


def run_with(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str) -> str:
    return create_run_for_test(instance, status=status, tags=tags).run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def claim(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Claim a place of the pool, as the step that asks for candles does."""
    return instance.event_log_storage.claim_concurrency_slot(POOL, run_id, "raw_candles").is_claimed


def test_a_killed_run_ends_and_its_places_are_free_again(instance: dg.DagsterInstance, killed: str) -> None:
    lost = [run_with(instance, dg.DagsterRunStatus.STARTED, **{LOCK_TAG: killed}) for _ in range(PLACES)]
    instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
    assert all(claim(instance, run_id) for run_id in lost)
    mine = run_with(instance, dg.DagsterRunStatus.STARTED)
    assert not claim(instance, mine)

    end_lost_runs(instance)

    assert {status_of(instance, run_id) for run_id in lost} == {dg.DagsterRunStatus.FAILURE}
    assert claim(instance, mine)
    assert not Path(killed.partition(":")[2]).exists()
    assert status_of(instance, mine) is dg.DagsterRunStatus.STARTED


def test_a_lock_that_others_try_meanwhile_is_held_in_the_end(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks holds it for a moment, and removes it as a leftover where nobody else does."""
    try_lock, tries = FileLock.try_lock, list[bool]()

    def disturbed(lock: FileLock, *, shared: bool = False) -> bool:
        tries.append(try_lock(lock, shared=shared))
        if len(tries) == 1:
            lock.path.unlink()
        return tries[-1]

    monkeypatch.setattr(FileLock, "try_lock", disturbed)

    with run_lock(instance) as (_, tags):
        assert tries == [True, True]
        assert is_at_work(tags[LOCK_TAG])


def test_a_file_that_cannot_be_opened_counts_as_held(
    instance: dg.DagsterInstance, killed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: FileLock) -> bool:
        raise PermissionError(lock.path)

    monkeypatch.setattr(FileLock, "try_lock", refuse)
    monkeypatch.setattr(file_locks, "_lock", lambda _: False)

    assert is_at_work(killed)
    end_lost_runs(instance)
    assert Path(killed.partition(":")[2]).exists()


def test_a_run_at_work_and_those_of_others_go_on(instance: dg.DagsterInstance) -> None:
    elsewhere = f"not-{socket.gethostname()}:/srv/regime/run.lock"
    with run_lock(instance) as (run_id, tags):
        assert create_run_for_test(instance, run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags)
        others = [run_with(instance, dg.DagsterRunStatus.STARTED, **more) for more in ({}, {LOCK_TAG: elsewhere})]
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        assert claim(instance, run_id)

        end_lost_runs(instance)

        assert {status_of(instance, each) for each in (run_id, *others)} == {dg.DagsterRunStatus.STARTED}
        assert instance.event_log_storage.get_concurrency_run_ids() == {run_id}
    assert not is_at_work(tags[LOCK_TAG])
    assert list((Path(instance.root_directory) / "local_runs").iterdir()) == []


def test_dagster_s_monitoring_sees_local_runs(instance: dg.DagsterInstance, killed: str) -> None:
    launcher = WatchedRunLauncher()
    lost = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags={LOCK_TAG: killed})
    foreign = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    with run_lock(instance) as (_, tags):
        alive = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags=tags)
        found = [launcher.check_run_worker_health(run).status for run in (lost, foreign, alive)]

    assert found == [WorkerStatus.FAILED, WorkerStatus.RUNNING, WorkerStatus.RUNNING]


def test_the_daemon_frees_what_lost_runs_had_claimed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it never does: after three lost runs the queue stands still."""
    lost = [run_with(instance, dg.DagsterRunStatus.STARTED) for _ in range(PLACES)]
    instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
    assert all(claim(instance, run_id) for run_id in lost)
    for run_id in lost:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        instance.report_run_failed(run, "lost")
    later = get_current_datetime() + datetime.timedelta(seconds=31)
    monkeypatch.setattr(concurrency, "get_current_datetime", lambda: later)

    context = cast("IWorkspaceProcessContext", SimpleNamespace(instance=instance))
    looks = concurrency.execute_concurrency_slots_iteration(context, logging.getLogger())
    assert list(looks) == [None] * PLACES
    assert claim(instance, run_with(instance, dg.DagsterRunStatus.STARTED))
