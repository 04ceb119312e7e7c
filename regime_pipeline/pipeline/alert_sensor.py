"""The sensor that notifies people: verdicts, stops, permissions, prices outside, old data, failed runs.

See `services.alerts` for what is sent and to whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.pipeline.partitions import RANGE_END_TAG, RANGE_START_TAG
from regime_pipeline.pipeline.resources import WORKSPACE_KEY
from regime_pipeline.pipeline.sensors import default_status
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.alerts.delivery import due_alerts, sender, tell
from regime_pipeline.services.alerts.events import LOOKBACK_HOURS, Alert
from regime_pipeline.services.alerts.rules import load_rules
from regime_pipeline.services.chain.workspace import Workspace

_LIMIT_S: Final = 20.0
_MOST_RUNS: Final = 100
_MOST_CHARACTERS: Final = 200
_WILL_RETRY: Final = "dagster/will_retry"


def build_alert_sensor(file: Path, secret: str, is_on: bool = True) -> dg.SensorDefinition:
    """Return the sensor; without the alerts file it does nothing.

    Parameters
    ----------
    file : Path
        The alerts file, read at every tick.
    secret : str
        What webhooks are signed with.
    is_on : bool
        It runs unless it is turned off.
    """

    @dg.sensor(
        name="alert_sensor",
        minimum_interval_seconds=60,
        default_status=default_status(is_on),
        required_resource_keys={WORKSPACE_KEY},
        description="Notifies people of what the alerts file asks for, each thing once: chats, mail, webhooks.",
    )
    def alert_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        workspace: Workspace = getattr(context.resources, WORKSPACE_KEY)
        try:
            rules = load_rules(file, workspace.universe.markets)
        except RegimeError as error:
            context.log.warning(str(error))
            return dg.SkipReason(str(error))
        if not rules.rules:
            return dg.SkipReason(f"{file} has no rules.")
        due = due_alerts(workspace, rules, failed_runs(context.instance))
        sent, failures = tell(workspace, due, sender(secret, lambda: RetryPolicy.of_this_machine(_LIMIT_S)))
        for failure in failures:
            context.log.warning(failure)
        return dg.SkipReason(" ".join([f"{sent} alerts sent.", *failures]))

    return alert_sensor


def failed_runs(instance: dg.DagsterInstance) -> Iterator[Alert]:
    """Yield the runs of the last day that failed for good, as alerts; one that is retried is not one of them."""
    since = datetime.now(UTC) - timedelta(hours=LOOKBACK_HOURS)
    asked = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    for record in instance.get_run_records(asked, limit=_MOST_RUNS):
        run = record.dagster_run
        if run.tags.get(_WILL_RETRY) == "true":
            continue
        ended_ms = int((record.end_time or record.update_timestamp.timestamp()) * 1000)
        first, last = run.tags.get(RANGE_START_TAG, ""), run.tags.get(RANGE_END_TAG, "")
        where = f" over {first} to {last}" if first else ""
        message = f"The run {run.run_id[:8]} of {run.job_name}{where} failed at {to_iso(ended_ms // 1000 * 1000)}"
        cause = _cause(instance, run.run_id)
        yield Alert(f"failed_run {run.run_id}", "failed_run", None, ended_ms, f"{message}{cause}.")


def _cause(instance: dg.DagsterInstance, run_id: str) -> str:
    """The innermost cause of the first failed step, in one line; empty where no step failed."""
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    event = events[0].event_log_entry.dagster_event if events else None
    error = event.step_failure_data.error if event else None
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return ""
    line = error.message.strip().splitlines()[0][:_MOST_CHARACTERS].rstrip(".")
    return f": {line}"
