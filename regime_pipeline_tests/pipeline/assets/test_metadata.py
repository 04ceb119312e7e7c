"""Tests of `pipeline.metadata`: it must do what Dagster's own, slower call does."""

import dagster as dg
import pytest

from regime_pipeline.pipeline.assets.hourly_chain import add_partition_metadata

LETTERS = dg.StaticPartitionsDefinition(["a", "b", "c"])


def materializations(asset: dg.AssetsDefinition) -> dict[str, dict[str, object]]:
    result = dg.materialize(
        [asset], tags={"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "c"}
    )
    events = result.asset_materializations_for_node("letters")
    return {event.partition: {name: value.value for name, value in event.metadata.items()} for event in events}


@pytest.mark.parametrize("way", ["ours", "dagster's"])
def test_each_partition_gets_its_own_metadata_beside_the_common_one(way: str) -> None:
    @dg.asset(partitions_def=LETTERS, backfill_policy=dg.BackfillPolicy.single_run())
    def letters(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        metadata = {key: {"rows": row, "letter": key} for row, key in enumerate(context.partition_keys)}
        if way == "ours":
            add_partition_metadata(context, metadata)
        else:
            for key, values in metadata.items():
                context.add_asset_metadata(values, partition_key=key)
        return dg.MaterializeResult(metadata={"total": 3})

    assert materializations(letters) == {
        "a": {"total": 3, "rows": 0, "letter": "a"},
        "b": {"total": 3, "rows": 1, "letter": "b"},
        "c": {"total": 3, "rows": 2, "letter": "c"},
    }
