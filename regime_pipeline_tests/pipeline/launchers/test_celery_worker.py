"""The process that becomes a Celery worker: its command, and settings that `dagster_celery.app` finds."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from regime_pipeline.pipeline.launchers import celery as celery_worker
from regime_pipeline_tests.conftest import REPOSITORY

CONFIG = str(REPOSITORY / "docker" / "celery.yaml")


class BecameError(Exception):
    """Raised in place of becoming another program."""


def test_it_becomes_celery_with_the_settings_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
    given = {"DAGSTER_HOME": str(tmp_path), "PYTHONPATH": "/elsewhere", "REGIME_CELERY_BROKER": "redis://here/0"}
    for name, value in {**given, "REGIME_CELERY_BACKEND": "redis://here/1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["celery_worker", CONFIG, "-Q", "dagster", "--concurrency=1"])
    became: list[tuple[str, list[str], dict[str, str]]] = []

    def execve(path: str, words: list[str], environment: dict[str, str]) -> NoReturn:
        became.append((path, words, environment))
        raise BecameError

    monkeypatch.setattr(os, "execve", execve)

    with pytest.raises(BecameError):
        celery_worker.main()

    ((path, words, environment),) = became
    assert path == words[0] == sys.executable
    assert words[1:6] == ["-m", "celery", "-A", "dagster_celery.app", "worker"]
    assert words[-3:] == ["-Q", "dagster", "--concurrency=1"]
    folder, *others = environment["PYTHONPATH"].split(os.pathsep)
    assert others == ["/elsewhere"]
    settings = runpy.run_path(str(Path(folder, "dagster_celery_config.py")))
    assert (settings["broker_url"], settings["result_backend"]) == ("redis://here/0", "redis://here/1")
    assert settings["worker_max_tasks_per_child"] == 1
    assert environment["DAGSTER_HOME"] == str(tmp_path)
