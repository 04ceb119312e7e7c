"""Dagster's instance of a project home: its environment, its dagster.yaml, and range runs in this process.

See `storage.embedded` for the embedded server.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import dagster as dg
import yaml  # type: ignore[import-untyped]
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import MAX_RETRIES_TAG, REPOSITORY_LABEL_TAG

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.build import CHAIN_JOB, SITE_JOB
from regime_pipeline.pipeline.local_runs import end_lost_runs, run_lock
from regime_pipeline.pipeline.partitions import range_tags

BATCHING = {"DAGSTER_EVENT_BATCH_SIZE": "1000", "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "1"}
"""Without these two a backfill records about 41 partitions a second instead of about 1,200."""

PATIENCE = {"DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1", "DAGSTER_MAX_BACKFILL_RETRIES": "120"}
"""Without them a daemon that cannot see the code server fails every open backfill for good: where it has answered
without our assets once, at a restart say, or where five ticks in a row failed otherwise; 120 ticks are an hour."""


MODULE: Final = "regime_pipeline.definitions"
LOCATION: Final = "regime_pipeline"
"""Name of the code location, the same in every workspace.yaml of ours: states of sensors are kept by it."""
REPOSITORY: Final = "__repository__"
WORKSPACE: Final = f"""load_from:
  - python_module:
      module_name: {MODULE}
      location_name: {LOCATION}
"""
STORAGE = """storage:
  custom:
    module: regime_pipeline.pipeline.dagster_storage
    class: RegimeDagsterStorage
    config:
      postgres_url:
        env: DAGSTER_PG_URL
"""
"""Storage block of the home's dagster.yaml: a URL by environment has no default, so the shipped file goes without."""


def dagster_environment(dagster_home: Path, dagster_url: str) -> dict[str, str]:
    """Return the environment that every Dagster process of the home needs.

    Parameters
    ----------
    dagster_home : Path
        Absolute directory of the instance.
    dagster_url : str
        Its database, `postgresql+psycopg2://`.
    """
    return {**BATCHING, **PATIENCE, "DAGSTER_HOME": str(dagster_home), "DAGSTER_PG_URL": dagster_url}


def prepare_home(dagster_home: Path) -> None:
    """Create the instance directory, for its owner's eyes, with the project's dagster.yaml and workspace.yaml.

    Where runs are handed to workers the directory is the deployment's (`docker/local.py`), and is left as it is.
    """
    dagster_home.parent.mkdir(parents=True, exist_ok=True)
    dagster_home.mkdir(mode=0o700, exist_ok=True)
    if is_deployment(dagster_home):
        return
    text = shipped_file("dagster.yaml").read_text("utf-8")
    (dagster_home / "dagster.yaml").write_text(f"{text}\n{STORAGE}", "utf-8")
    (dagster_home / "workspace.yaml").write_text(WORKSPACE, "utf-8")


def is_deployment(dagster_home: Path) -> bool:
    """Say whether a directory's dagster.yaml hands runs to workers, so that its daemon is to run backfills."""
    file = dagster_home / "dagster.yaml"
    return file.is_file() and _launcher(file) not in ("", _launcher(shipped_file("dagster.yaml")))


def is_launching_here(dagster_home: Path) -> bool:
    """Say whether a directory's dagster.yaml has runs started by the shipped one's launcher, on this machine."""
    file = dagster_home / "dagster.yaml"
    return file.is_file() and _launcher(file) == _launcher(shipped_file("dagster.yaml"))


def _launcher(file: Path) -> str:
    launcher = (yaml.safe_load(file.read_text("utf-8")) or {}).get("run_launcher") or {}
    return str(launcher.get("class", ""))


def shipped_file(name: str) -> Path:
    """Return a file that stands at the top of the repository, or beside this module in an installed wheel."""
    beside, top = Path(__file__).with_name(name), Path(__file__).parents[2] / name
    return beside if beside.exists() else top


@contextmanager
def open_instance(dagster_home: Path, dagster_url: str) -> Iterator[dg.DagsterInstance]:
    """Open the home's instance in this process, with the environment it needs; the environment is restored."""
    prepare_home(dagster_home)
    environment = dagster_environment(dagster_home, dagster_url)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
            yield instance
    finally:
        _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def materialize_range(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    first: Market,
    last: Market,
    window: Window,
    grain: str = "hour",
    assets: Sequence[str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize the chain for a rectangle, markets `first` to `last` in file order x the window, in one run here.

    With `assets`, only these of its assets. The run's own log goes to the instance alone; failures are in the result's
    events.
    """
    return _execute(definitions, CHAIN_JOB, instance, dict(range_tags(first, last, window, grain)), assets)


def materialize_site(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Materialize the dashboard in one run here; what it logs and where failures stand as in `materialize_range`."""
    return _execute(definitions, SITE_JOB, instance, {})


def _execute(
    definitions: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    assets: Sequence[str] | None = None,
) -> dg.ExecuteInProcessResult:
    # With its origin the UI's timeline shows the run, as if the UI had launched it; by the tag the job's page does. But
    # no daemon is to launch it again, for whoever waits for this process knows how it ended.
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY), job)
    create = instance.create_run_for_job
    end_lost_runs(instance)
    setattr(instance, create.__name__, partial(create, remote_job_origin=origin))
    try:
        with run_lock(instance) as (run_id, lock_tag):
            return definitions.resolve_job_def(job).execute_in_process(
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                instance=instance,
                tags={**tags, **lock_tag, REPOSITORY_LABEL_TAG: f"{REPOSITORY}@{LOCATION}", MAX_RETRIES_TAG: "0"},
                raise_on_error=False,
                asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
                run_id=run_id,
            )
    finally:
        delattr(instance, create.__name__)
