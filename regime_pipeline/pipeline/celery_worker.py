"""Becomes a Celery worker for Dagster's runs: `python -m regime_pipeline.pipeline.celery_worker celery.yaml OPTION…`.

`dagster-celery worker start` stays above Celery as a parent that passes no signal on, so a worker that is told to stop
would be killed in its run; this process becomes Celery, which finishes the run first. Needs the extra `celery`.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from dagster_celery.cli import get_config_dir, get_worker_name

PRELOADED: Final = "regime_pipeline.composition,regime_pipeline.pipeline.build"
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
