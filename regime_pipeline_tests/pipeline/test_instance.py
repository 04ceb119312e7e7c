"""Tests of `pipeline.instance`."""

import os
from pathlib import Path

import dagster as dg
import yaml

from regime_pipeline.pipeline.instance import (
    BATCHING,
    PATIENCE,
    dagster_environment,
    materialize_site,
    open_instance,
    prepare_home,
    shipped_file,
)
from regime_pipeline.storage.urls import dagster_url
from regime_pipeline_tests.conftest import REPOSITORY


def test_the_environment_has_what_makes_backfills_fast(tmp_path: Path) -> None:
    environment = dagster_environment(tmp_path, "postgresql+psycopg2:///dagster")

    assert environment["DAGSTER_EVENT_BATCH_SIZE"] == "1000"
    assert environment["DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS"] == "1"
    assert environment["DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR"] == "1"
    assert environment["DAGSTER_HOME"] == str(tmp_path)
    assert environment["DAGSTER_PG_URL"] == "postgresql+psycopg2:///dagster"


def test_the_home_gets_the_shipped_file_and_postgres(tmp_path: Path) -> None:
    prepare_home(tmp_path / "dagster")

    assert (tmp_path / "dagster").stat().st_mode & 0o777 == 0o700
    written = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text("utf-8"))
    shipped = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text("utf-8"))
    assert shipped_file("dagster.yaml") == REPOSITORY / "dagster.yaml"
    docker = yaml.safe_load((REPOSITORY / "docker" / "dagster.yaml").read_text("utf-8"))
    assert written == {**shipped, "storage": docker["storage"]}, "one storage wherever the chain runs"
    assert docker["storage"]["custom"]["config"] == {"postgres_url": {"env": "DAGSTER_PG_URL"}}


def test_the_home_s_workspace_is_that_of_the_repository(tmp_path: Path) -> None:
    prepare_home(tmp_path)

    written = yaml.safe_load((tmp_path / "workspace.yaml").read_text("utf-8"))
    assert written == yaml.safe_load((REPOSITORY / "workspace.yaml").read_text("utf-8"))


def test_the_directory_of_a_deployment_is_left_as_it_is(tmp_path: Path) -> None:
    text = (REPOSITORY / "docker" / "dagster.yaml").read_text("utf-8")
    (tmp_path / "dagster.yaml").write_text(text, "utf-8")

    prepare_home(tmp_path)

    assert (tmp_path / "dagster.yaml").read_text("utf-8") == text
    assert not (tmp_path / "workspace.yaml").exists()


def test_an_instance_stores_in_postgres_and_leaves_the_environment_alone(tmp_path: Path, database_url: str) -> None:
    before = dict(os.environ)

    with open_instance(tmp_path, dagster_url(database_url)) as instance:
        assert {name: os.environ[name] for name in BATCHING | PATIENCE} == BATCHING | PATIENCE
        assert type(instance.event_log_storage).__name__ == "BulkEventLogStorage"
        assert instance.get_runs_count() == 0
        pools = instance.get_concurrency_config()
        assert pools.pool_config.default_pool_limit == 3
        assert pools.run_queue_config is not None
        assert pools.run_queue_config.max_concurrent_runs == 4
        assert pools.run_queue_config.max_user_code_failure_retries == 240
        assert pools.run_queue_config.user_code_failure_retry_delay == 15
        assert pools.run_queue_config.tag_concurrency_limits == [
            {"key": "dagster/backfill", "limit": 2},
            {"key": "regime/correction", "limit": 1},
        ]

    assert dict(os.environ) == before


def test_a_run_of_this_process_is_one_of_the_code_location_s_and_is_not_launched_again() -> None:
    @dg.op
    def build() -> None:
        raise dg.Failure("The disk is full.")

    @dg.job
    def site() -> None:
        build()

    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            assert not materialize_site(dg.Definitions(jobs=[site]), instance).success
        runs = instance.get_runs()

    assert len(runs) == 2
    for run in runs:
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.location_name == "regime_pipeline"
        assert (run.remote_job_origin.repository_origin.repository_name, run.job_name) == ("__repository__", "site")
        assert run.tags["dagster/max_retries"] == "0"
