"""Events of a step, without a run."""

from __future__ import annotations

import dagster as dg
from dagster._core.events import StepMaterializationData

ASSET = dg.AssetKey(["folder", "asset"])


def materialized(partitions: int, run_id: str = "run", version: str = "1") -> list[dg.EventLogEntry]:
    """Materializations of one asset, as a step hands them over."""
    return [
        dg.EventLogEntry(
            error_info=None,
            level=20,
            user_message="",
            run_id=run_id,
            timestamp=1_700_000_000.25 + number,
            step_key="step",
            job_name="job",
            dagster_event=dg.DagsterEvent(
                dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                "job",
                event_specific_data=StepMaterializationData(
                    dg.AssetMaterialization(ASSET, partition=str(number), tags={"dagster/data_version": version})
                ),
            ),
        )
        for number in range(partitions)
    ]
