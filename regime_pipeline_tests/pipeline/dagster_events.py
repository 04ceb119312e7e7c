"""Events as Dagster hands them to its storage, of a small run that has every kind; and what a storage made of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.event_log.base import EventLogStorage

ODD = 'line\nfeed\r, tab\t, \\N, back\\slash, "quotes", ελληνικά, \U0001f4c8'
LAST = r"02 \N ελληνικά"
HOURS = dg.StaticPartitionsDefinition(["00", "01", LAST])
TABLES = (
    "event_logs", "asset_event_tags", "asset_keys", "asset_check_executions", "dynamic_partitions",
    "concurrency_slots", "pending_steps", "secondary_indexes",
)  # fmt: skip
UNEQUAL = {"create_timestamp", "migration_completed"}
"""Columns that say when a row or table was made."""

Call = Callable[[EventLogStorage[Any]], None]


@dg.asset(partitions_def=HOURS, backfill_policy=dg.BackfillPolicy.single_run(), tags={"kind": "test"})
def hourly(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    for key in context.partition_keys:
        context.log_event(dg.AssetObservation("hourly", metadata={"text": ODD}, partition=key))
    yield dg.MaterializeResult(metadata={"text": ODD, "rows": 3}, data_version=dg.DataVersion(ODD))


@dg.asset(deps=[hourly])
def table() -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(metadata={"rows": 1}, check_results=[])


@dg.asset_check(asset=table)
def is_whole() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"text": ODD})


@dg.asset
def broken() -> None:
    raise dg.Failure(ODD)


def recorded_calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Run the assets and return what the storage was asked to store, call by call."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    calls: list[Call] = []
    range_of = {"dagster/asset_partition_range_start": "00", "dagster/asset_partition_range_end": LAST}
    definitions = dg.Definitions([hourly, table, broken], asset_checks=[is_whole])
    with dg.DagsterInstance.ephemeral() as instance:
        storage = instance.event_log_storage
        store = storage.store_event

        def store_event(event: dg.EventLogEntry) -> None:
            calls.append(lambda other: other.store_event(event))
            store(event)

        def store_event_batch(events: Sequence[dg.EventLogEntry]) -> None:
            calls.append(lambda other: other.store_event_batch(events))
            for event in events:
                store(event)

        monkeypatch.setattr(storage, "store_event", store_event)
        monkeypatch.setattr(storage, "store_event_batch", store_event_batch)
        definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, tags=range_of, raise_on_error=False
        )
    return calls


def stored(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of every table of a storage; assets without their numbers, which follow the order of their first events."""
    with psycopg.connect(url) as connection:
        return {name: _rows(connection, name) for name in TABLES}


def _rows(connection: psycopg.Connection[Any], table_name: str) -> list[tuple[Any, ...]]:
    left_out = UNEQUAL | ({"id"} if table_name == "asset_keys" else set())
    listed = "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"
    names = [name for (name,) in connection.execute(listed, [table_name]) if name not in left_out]
    return connection.execute(f"SELECT {', '.join(names)} FROM {table_name} ORDER BY 1, 2").fetchall()  # type: ignore[arg-type]
