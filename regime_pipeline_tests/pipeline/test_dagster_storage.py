"""Tests of `pipeline.dagster_storage`: who stores events, by setting and by the Dagster that is installed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
from dagster import DagsterInvariantViolationError
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from dagster_shared.serdes import deserialize_value

from regime_pipeline.pipeline import dagster_storage, kept_connections
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


def backfill(status: BulkActionStatus = BulkActionStatus.REQUESTED) -> PartitionBackfill:
    return PartitionBackfill(
        "one", status, from_failure=False, tags={"grain": "hour"}, backfill_timestamp=1.5, partition_names=["a", "b"]
    )


def test_a_backfill_is_taken_apart_once_for_every_text(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two daemons may write it in turn: each reads what is stored, however often it has read before."""
    texts = []

    def noted(text: str, kind: type[PartitionBackfill]) -> PartitionBackfill:
        texts.append(text)
        return deserialize_value(text, kind)

    monkeypatch.setattr(kept_connections, "deserialize_value", noted)
    PostgresRunStorage.create_clean_storage(dagster_url(database_url))
    one, other = (
        RegimeDagsterStorage.from_config_value(None, {"postgres_url": dagster_url(database_url)}).run_storage
        for _ in range(2)
    )
    assert one.get_backfill("one") is None
    one.add_backfill(backfill())

    assert [one.get_backfill("one") for _ in range(3)] == [backfill()] * 3
    assert len(texts) == 1
    other.update_backfill(backfill(BulkActionStatus.CANCELING))
    assert [one.get_backfill("one") for _ in range(3)] == [backfill(BulkActionStatus.CANCELING)] * 3
    assert len(texts) == 3
    with pytest.raises(DagsterInvariantViolationError, match="not present"):
        one.update_backfill(backfill()._replace(backfill_id="another"))


def test_the_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]

    assert f"dagster-postgres{versions()}" in project["optional-dependencies"]["pipeline"]
    assert unknown_dagster() == ""
