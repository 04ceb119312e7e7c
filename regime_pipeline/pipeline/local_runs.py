"""Runs in the process that asked for them, as `regime backfill`'s are: each holds a lock while it is at work.

Dagster watches only what it has launched itself. A run whose process was killed would count as started indefinitely,
and keep its place among the concurrent runs and its pool slots: after a few of them nothing would run any more.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from regime_pipeline.storage.file_locks import FileLock, remove_leftovers

LOCK_TAG: Final = "regime/run_lock"
"""Tag of a local run: the machine, a colon, and the file that is locked while the run is at work."""
FOLDER: Final = "local_runs"
"""Where the locks are, in the directory of the instance."""


@contextmanager
def run_lock(instance: dg.DagsterInstance) -> Iterator[tuple[str, dict[str, str]]]:
    """Hold the lock of a new local run for the length of a `with` block.

    Yields
    ------
    tuple of str and dict of str
        The id that the run is to have, and the tag by which others find the lock.
    """
    run_id = str(uuid.uuid4())
    path = Path(instance.root_directory) / FOLDER / f"{run_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    while not (lock.try_lock() and lock.is_current):  # others try it for a moment, and may take it for a leftover
        lock.close()
    try:
        yield run_id, {LOCK_TAG: f"{socket.gethostname()}:{path}"}
    finally:
        path.unlink(missing_ok=True)
        lock.close()


def is_at_work(tag: str) -> bool:
    """Say whether a local run's process lives; so it counts on another machine or with a file that cannot be opened.

    Parameters
    ----------
    tag : str
        Its `LOCK_TAG`.
    """
    host, _, name = tag.partition(":")
    path = Path(name)
    if host != socket.gethostname():
        return True
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        return not lock.try_lock()
    except PermissionError:  # another account's
        return True
    finally:
        lock.close()


def end_lost_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs as failed whose process is gone, and free the pool slots that ended runs still hold.

    `regime up`'s daemon does so every 30 s; without it a new local run would wait for those slots indefinitely.
    """
    launcher = instance.run_launcher
    if launcher.supports_check_run_worker_health:
        for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            health = launcher.check_run_worker_health(run)
            if health.status is WorkerStatus.FAILED:
                instance.report_run_failed(run, health.msg)
    holders = list(instance.event_log_storage.get_concurrency_run_ids())
    if holders:
        for run in instance.get_runs(dg.RunsFilter(run_ids=holders, statuses=FINISHED_STATUSES)):
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    remove_leftovers(Path(instance.root_directory) / FOLDER, "*.lock")
