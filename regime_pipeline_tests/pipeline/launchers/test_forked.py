"""Tests of `launchers.forked`: who forks runs of a preloaded process, and when a run gets a Python of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import pytest
from dagster._grpc.server import DagsterApiServer

from regime_pipeline.pipeline.launchers import forked
from regime_pipeline.pipeline.launchers.forked import CONTEXT, PRELOADED, RunContext, code_stamp, fork_runs
from regime_pipeline_tests.conftest import REPOSITORY


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """This process taken for a code server of a home; what the fork server was started with."""
    modules: list[list[str]] = []
    started: list[list[str]] = []
    (tmp_path / "dagster.yaml").write_bytes((REPOSITORY / "dagster.yaml").read_bytes())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr(sys, "argv", ["dagster", "api", "grpc", "--socket", "somewhere"])
    monkeypatch.setattr(forkserver, "set_forkserver_preload", modules.append)
    monkeypatch.setattr(forkserver, "ensure_running", lambda: started.extend(modules))
    monkeypatch.setattr(forked, "_loaded", ())
    monkeypatch.setattr(DagsterApiServer, CONTEXT, None, raising=False)  # taken away again at the end
    return started


def context_of_a_server() -> object:
    """What a code server that has made a context of its own starts its runs with."""
    server = object.__new__(DagsterApiServer)
    server.__dict__[CONTEXT] = "its own"
    return getattr(server, CONTEXT)


def test_a_code_server_starts_runs_with_our_context_and_the_preloaded_process_at_once(
    started: list[list[str]],
) -> None:
    assert context_of_a_server() == "its own"

    fork_runs("fork")

    assert isinstance(context_of_a_server(), RunContext)
    assert started == [[PRELOADED]]
    setattr(object.__new__(DagsterApiServer), CONTEXT, "of the next server")  # its __init__ does so


def as_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "parent_process", lambda: "the code server")


def as_another_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dagster", "asset", "materialize"])


def with_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY / "docker"))


def without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME")


@pytest.mark.parametrize("change", [as_a_run, as_another_command, with_workers, without_a_home])
def test_other_processes_and_deployments_are_left_alone(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    change(monkeypatch)

    fork_runs("fork")

    assert (context_of_a_server(), started) == ("its own", [])


def test_a_setting_leaves_starting_runs_to_dagster(started: list[list[str]]) -> None:
    fork_runs("stock")

    assert (context_of_a_server(), started) == ("its own", [])


def test_a_dagster_that_starts_runs_otherwise_is_left_to_it_and_the_log_says_so(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(DagsterApiServer, "StartRun", lambda self, request, context: None)

    fork_runs("fork")

    assert (context_of_a_server(), started) == ("its own", [])
    assert "not known here" in caplog.messages[-1]


def test_the_stamp_tells_changed_code_and_new_libraries_but_not_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, libraries = tmp_path / "package", tmp_path / "libraries"
    for folder in (package / "__pycache__", libraries):
        folder.mkdir(parents=True)
    (package / "module.py").write_text("", "utf-8")
    monkeypatch.setattr(forked, "_CODE", package)
    monkeypatch.setattr(forked, "_LIBRARIES", libraries)
    stamps = [code_stamp()]
    (package / "__pycache__" / "module.pyc").write_text("", "utf-8")
    assert code_stamp() == stamps[0]

    os.utime(package / "module.py", (1, 1))
    stamps.append(code_stamp())
    (libraries / "newer.dist-info").mkdir()
    os.utime(libraries, (2, 2))
    stamps.append(code_stamp())

    assert len(set(stamps)) == 3


@pytest.mark.parametrize(
    ("loaded", "error", "started_by", "reason"),
    [
        (code_stamp, None, "fork", ""),
        (tuple, None, "spawn", "The code has changed"),
        (code_stamp, EOFError(), "spawn", "could not be forked (EOFError())"),
        (code_stamp, ConnectionRefusedError(111, "refused"), "spawn", "could not be forked (ConnectionRefusedError"),
    ],
)
def test_a_run_gets_a_python_of_its_own_where_the_preloaded_one_is_stale_or_gone(
    loaded: Callable[[], tuple[tuple[str, int], ...]],
    error: Exception | None,
    started_by: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Popen:
        def __init__(self, method: str) -> None:
            self.method, self.sentinel = method, 0

    def fork(process: object) -> Popen:
        if error:
            raise error
        return Popen("fork")

    monkeypatch.setattr(forked, "_loaded", loaded())
    monkeypatch.setattr(forked, "Forked", fork)
    monkeypatch.setattr(forked, "Spawned", lambda process: Popen("spawn"))

    popen = forked.RunProcess._Popen(RunContext().Process(target=print))

    assert isinstance(popen, Popen)
    assert popen.method == started_by
    assert reason in "".join(caplog.messages)
