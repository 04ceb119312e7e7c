"""Tests of `pipeline.event_texts`: every text is Dagster's, byte for byte, or left to Dagster."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.events import AssetLineageInfo
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster_shared.serdes import serialize_value
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.pipeline.event_texts import shared_text

PLAIN = st.one_of(st.integers(), st.floats(), st.text())
OTHER = st.one_of(
    st.booleans(), st.none(), st.text().map(dg.MetadataValue.md), st.just(dg.MetadataValue.url("http://here/")),
    st.dictionaries(st.text(), st.integers(), max_size=2).map(dg.MetadataValue.json),
)  # fmt: skip
TAGS = st.dictionaries(st.text().map("dagster/input_data_version/{}".format), st.text(), max_size=3)
PARTITIONS = st.one_of(
    st.none(),
    st.text(min_size=1),
    st.builds(lambda hour: dg.MultiPartitionKey({"hour": hour, "market": "M|1"}), st.text()),
)


def materialization(**parts: Any) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(**{"asset_key": ["deep", "hourly"], "partition": "00", **parts})


def entry(made: dg.AssetMaterialization, timestamp: float = 1.5, **other: Any) -> dg.EventLogEntry:
    """An event as a step's logger makes it; `other` are fields of the entry, of its event, or the lineage."""
    lineage = other.pop("asset_lineage", [])
    event = {
        "event_type_value": "ASSET_MATERIALIZATION", "job_name": "job", "step_kind_value": "COMPUTE", "pid": 7,
        "logging_tags": {"run_id": "r", "step_key": "hourly"}, "message": 'Materialized "timestamp": 1.5',
        "step_key": "hourly", "event_specific_data": StepMaterializationData(made, lineage),
    }  # fmt: skip
    around = {
        "error_info": None,
        "level": 10,
        "user_message": "m",
        "run_id": "r",
        "step_key": "hourly",
        "job_name": "job",
    }
    for name, value in other.items():
        (event if name in event else around)[name] = value
    return dg.EventLogEntry(**around, timestamp=timestamp, dagster_event=DagsterEvent(**event))  # type: ignore[arg-type]


def written(first: dg.EventLogEntry, other: dg.EventLogEntry) -> str | None:
    shared = shared_text(first, serialize_value(first))
    assert shared is not None
    return shared.text_of(other)


FIRST = entry(materialization(metadata={"rows": 1, "share": 0.5, "status": "whole"}, tags={"b": "1", "a": "2"}))


@given(
    metadata=st.dictionaries(st.text(), PLAIN, max_size=4), tags=TAGS, partition=PARTITIONS, timestamp=st.floats(0, 2e9)
)
def test_what_differs_is_written_as_dagster_does(
    metadata: dict[str, Any], tags: dict[str, str], partition: str | None, timestamp: float
) -> None:
    other = entry(materialization(metadata=metadata, tags=tags, partition=partition), timestamp)

    assert written(FIRST, other) == serialize_value(other)
    assert written(other, FIRST) == serialize_value(FIRST)


@given(metadata=st.dictionaries(st.text(), OTHER, min_size=1, max_size=3))
def test_other_metadata_is_left_to_dagster(metadata: dict[str, Any]) -> None:
    other = entry(materialization(metadata=metadata))

    assert written(FIRST, other) is None
    assert shared_text(other, serialize_value(other)) is None


@pytest.mark.parametrize(
    "other",
    [
        entry(materialization(asset_key="hourly")),
        entry(materialization(description="more")),
        entry(materialization(), asset_lineage=[AssetLineageInfo(dg.AssetKey("up"))]),
        entry(materialization(), message="m"),
        entry(materialization(), pid=8),
        entry(materialization(), logging_tags={"run_id": "s"}),
        entry(materialization(), event_type_value="ASSET_OBSERVATION", event_specific_data=None),
        entry(materialization(), level=20),
        entry(materialization(), run_id="s"),
        entry(materialization(), user_message="n"),
        entry(materialization())._replace(dagster_event=None),
    ],
    ids=str,
)
def test_an_event_that_differs_elsewhere_is_left_to_dagster(other: dg.EventLogEntry) -> None:
    assert written(FIRST, other) is None


def test_another_serializer_is_not_imitated() -> None:
    assert shared_text(FIRST, serialize_value(FIRST).replace('"partition"', '"asset_partition"')) is None
