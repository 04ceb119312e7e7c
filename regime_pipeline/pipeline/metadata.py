"""Metadata of materializations: a few scalars per partition, attached in one go.

What the numbers mean is the stages' business.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator


def add_partition_metadata(
    context: dg.AssetExecutionContext, per_partition: Mapping[str, Mapping[str, int | float | str]]
) -> None:
    """Attach different metadata to each partition of a range run.

    Notes
    -----
    `context.add_asset_metadata(partition_key=...)` does the same, but lists every key of the range at each call, so a
    range of n partitions costs n squared: 504 hours took more than ten minutes. This writes the same accumulator once
    (docs/decisions/0003-partition-metadata.md); a test pins it against the supported Dagster range.
    """
    step = context.get_step_execution_context()
    held = step._metadata_accumulator  # noqa: SLF001
    added: dict[Any, Mapping[str, Any]] = {
        AssetMetadataHandle(asset_key=context.asset_key, partition_key=key): metadata
        for key, metadata in per_partition.items()
    }
    merged = OutputMetadataAccumulator(per_output_metadata={**held.per_output_metadata, **added})
    step._metadata_accumulator = merged  # noqa: SLF001
