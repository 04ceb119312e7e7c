"""Tests of `pipeline.dagster_storage`: who stores events, by setting and by the Dagster that is installed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

from regime_pipeline.pipeline import dagster_storage
from regime_pipeline.pipeline.bulk_events import BulkEventLogStorage
from regime_pipeline.pipeline.dagster_storage import RegimeDagsterStorage, unknown_dagster, versions
from regime_pipeline.pipeline.kept_connections import KeptRunStorage
from regime_pipeline.storage.urls import dagster_url
from regime_pipeline_tests.conftest import REPOSITORY


@pytest.fixture(autouse=True)
def fresh_look() -> Iterator[None]:
    unknown_dagster.cache_clear()
    yield
    unknown_dagster.cache_clear()


def kinds(url: str) -> tuple[type, type]:
    storage = RegimeDagsterStorage.from_config_value(None, {"postgres_url": dagster_url(url)})
    return type(storage.event_log_storage), type(storage.run_storage)


def test_events_and_runs_are_stored_in_bulk_unless_somebody_objects(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REGIME_DAGSTER_EVENTS", raising=False)
    assert kinds(database_url) == (BulkEventLogStorage, KeptRunStorage)
    monkeypatch.setenv("REGIME_DAGSTER_EVENTS", "stock")
    assert kinds(database_url) == (PostgresEventLogStorage, PostgresRunStorage)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("BELOW", (0, 29, 21), r"dagster-postgres is \S+, not >=0\.29\.20,<0\.29\.21\."),
        ("_USED", {"_connect": "self shard"}, r"PostgresEventLogStorage\._connect of dagster-postgres \S+ is not"),
        ("_USED", {"_gone": "self"}, r"PostgresEventLogStorage\._gone of dagster-postgres \S+ is not"),
        ("TAG_COLUMNS", ("event_id",), r"The table asset_event_tags of dagster-postgres \S+ has other columns"),
    ],
)
def test_another_dagster_stores_events_itself_and_the_log_says_why(
    name: str,
    value: object,
    reason: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(dagster_storage, name, value)

    assert kinds(database_url) == (PostgresEventLogStorage, PostgresRunStorage)
    assert re.match(rf"{reason}.* Dagster's own event storage is used, which is slower\.$", caplog.messages[-1])


def test_the_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]

    assert f"dagster-postgres{versions()}" in project["optional-dependencies"]["pipeline"]
    assert unknown_dagster() == ""
