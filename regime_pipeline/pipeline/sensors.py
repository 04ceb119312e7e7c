"""Sensors: closed hours, hours that a correction made stale, verdict changes, failed runs, the dashboard.

They keep the cursor and request runs. See `services.chain.scheduling` for what to run, `services.webhooks` for alerts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from itertools import takewhile

import dagster as dg

from regime_pipeline.domain.market_data.market import DAY_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.pipeline.partitions import range_tags
from regime_pipeline.pipeline.resources import WORKSPACE_KEY
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.chain.collections import due_collections
from regime_pipeline.services.chain.scheduling import (
    Correction,
    corrections,
    frontier,
    is_stored,
    next_window,
    recheck_from,
    repaired_cursor,
)
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.webhooks import deliver, notify_changes, send_alert

_LIMIT_S = 30.0
SENSORS = {
    "hourly_market_sensor": "runs the chain for every hour that has closed",
    "correction_sensor": "runs what restated candles, grid versions and stops made stale",
    "failure_sensor": "logs failed runs and posts them to REGIME_ALERT_URL",
    "verdict_webhook_sensor": "posts verdict changes to REGIME_HOOK_URL",
    "alert_sensor": "notifies people of what the alerts file asks for",
    "site_sensor": "rebuilds the dashboard after runs have written new hours",
}
"""Every sensor, in the order in which they are listed, and what it does."""


def default_status(is_on: bool) -> dg.DefaultSensorStatus:
    """Return how a sensor starts that nobody has turned on or off."""
    return dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED


def build_webhook_sensor(url: str, secret: str, is_on: bool = True) -> dg.SensorDefinition:
    """Return the sensor; without a URL it does nothing.

    Parameters
    ----------
    url : str
        Where changes are posted.
    secret : str
        What they are signed with.
    is_on : bool
        It runs unless it is turned off.
    """

    @dg.sensor(
        name="verdict_webhook_sensor",
        default_status=default_status(is_on),
        minimum_interval_seconds=30,
        required_resource_keys={WORKSPACE_KEY},
        description="Posts every verdict change to REGIME_HOOK_URL, signed with REGIME_HOOK_SECRET.",
    )
    def verdict_webhook_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not url:
            return dg.SkipReason("REGIME_HOOK_URL is not set.")
        workspace: Workspace = getattr(context.resources, WORKSPACE_KEY)
        patience = RetryPolicy.of_this_machine(_LIMIT_S)
        memory = json.loads(context.cursor) if context.cursor else {}
        new, sent, failure = notify_changes(workspace, memory, lambda change: deliver(url, secret, change, patience))
        context.update_cursor(json.dumps(new))
        if failure:
            context.log.warning(failure)
        return dg.SkipReason(f"{sent} changes sent." + (f" {failure}" if failure else ""))

    return verdict_webhook_sensor


MAX_HOURS_PER_TICK = 168
"""A week: what one tick asks for at most after downtime; the next tick goes on from there."""
LIVE_PRIORITY, CORRECTION_PRIORITY, SITE_PRIORITY = "10", "5", "2"
"""Above backfills, whose priority is 0: the hour that has just closed goes first."""
CORRECTION_TAG, LIVE_TAG = "regime/correction", "regime/live"
_FAILURES_COUNTED = 6
_BEHIND_SITE = ("grid_advice", "dashboard_hours")
"""The last assets of the chain: once they are written, the dashboard may be."""
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def build_sensors(job_name: str, grain: str, alert_url: str, is_on: bool = True) -> list[dg.SensorDefinition]:
    """Return the sensors of the chain's job.

    Parameters
    ----------
    job_name : str
        The job they ask runs of.
    grain : {"hour", "day"}
        Length of a partition; with `day` a tick asks for whole days.
    alert_url : str
        Where failed runs are posted; empty for nowhere.
    is_on : bool
        They run unless they are turned off.
    """
    default = default_status(is_on)
    return [_hourly(job_name, grain, default), _corrections(job_name, grain, default), _failures(alert_url, default)]


def _hourly(job_name: str, grain: str, default: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="hourly_market_sensor",
        default_status=default,
        job_name=job_name,
        minimum_interval_seconds=60,
        required_resource_keys={WORKSPACE_KEY},
        description="Runs the chain for every hour that has closed since the last run, for all markets.",
    )
    def hourly_market_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        workspace: Workspace = getattr(context.resources, WORKSPACE_KEY)
        found = frontier(workspace)
        for failure in found.failures:
            context.log.warning(failure)
        cursor = _cursor(context, workspace)
        again = recheck_from(workspace, found.closed_ms)
        window = _whole(next_window(workspace.universe, found.closed_ms, cursor, MAX_HOURS_PER_TICK, again), grain)
        wanted = _collections(context.instance, job_name, workspace, window)
        if window is not None:
            context.update_cursor(str(window.end_ms))
        is_new = window is not None and not (cursor is None and is_stored(workspace, window))
        markets = workspace.universe.markets
        if window is not None and is_new:
            yield _live_run(markets[0], markets[-1], window, grain)
        for market, partition in wanted:
            yield _live_run(market, market, partition, grain)
        if not (is_new or wanted):
            yield dg.SkipReason(_nothing_new(found.closed_ms, found.failures))

    return hourly_market_sensor


def _cursor(context: dg.SensorEvaluationContext, workspace: Workspace) -> int | None:
    """End of the last hour asked for; one that is ahead of the clock is set back."""
    stored = int(context.cursor) if context.cursor else None
    cursor = repaired_cursor(workspace, stored)
    if stored is not None and cursor != stored:
        where = to_iso(cursor) if cursor else "the newest hour"
        context.log.error("The cursor, %s, is ahead of the clock. It is set back to %s.", to_iso(stored), where)
        context.update_cursor(str(cursor) if cursor else "")
    return cursor


def _collections(
    instance: dg.DagsterInstance, job_name: str, workspace: Workspace, covered: Window | None
) -> list[tuple[Market, Window]]:
    """What webhooks want collected; none while live runs are not finished, which may be collecting it."""
    return [] if _unfinished(instance, job_name, LIVE_TAG) else due_collections(workspace, covered)


def _unfinished(instance: dg.DagsterInstance, job_name: str, tag: str) -> int:
    """How many runs with a tag are not finished; what they will do is not asked for a second time."""
    return instance.get_runs_count(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED, tags={tag: "true"}))


def _live_run(first: Market, last: Market, window: Window, grain: str) -> dg.RunRequest:
    tags = range_tags(first, last, window, grain)
    return dg.RunRequest(tags={**tags, "dagster/priority": LIVE_PRIORITY, LIVE_TAG: "true"})


def _whole(window: Window | None, grain: str) -> Window | None:
    """The window, cut to whole days where partitions are days."""
    if window is None or grain == "hour":
        return window
    start, end = window.start_ms // DAY_MS * DAY_MS, window.end_ms // DAY_MS * DAY_MS
    return Window(start, end) if end > start else None


def _nothing_new(closed_ms: int | None, failures: Sequence[str]) -> str:
    if closed_ms is None:
        return "No source could be reached: " + " ".join(failures) if failures else "No source has closed an hour yet."
    return f"Nothing has closed since {to_iso(closed_ms)}."


def _corrections(job_name: str, grain: str, default: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="correction_sensor",
        default_status=default,
        job_name=job_name,
        minimum_interval_seconds=60,
        required_resource_keys={WORKSPACE_KEY},
        description="Runs the stages and hours that a restated candle has made stale, one run per market.",
    )
    def correction_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        workspace: Workspace = getattr(context.resources, WORKSPACE_KEY)
        for tag, kind in ((CORRECTION_TAG, "correction"), (LIVE_TAG, "hourly")):
            if running := _unfinished(context.instance, job_name, tag):
                yield dg.SkipReason(f"{running} {kind} runs are not finished yet.")
                return
        if pause := _pause_s(context.instance, job_name):
            yield dg.SkipReason(f"Corrections have failed; they are tried again in {pause / 60:.0f} minutes.")
            return
        found = corrections(workspace)
        if not found:
            yield dg.SkipReason("Nothing is stale.")
        for correction in found:
            yield _request(correction, grain)

    return correction_sensor


def _pause_s(instance: dg.DagsterInstance, job_name: str) -> float:
    """Return how long to wait after corrections have failed: two minutes, doubled by each failure, at most an hour."""
    asked = dg.RunsFilter(job_name=job_name, tags={CORRECTION_TAG: "true"})
    ended = instance.get_run_records(asked, limit=_FAILURES_COUNTED)
    failures = list(takewhile(lambda record: record.dagster_run.status == dg.DagsterRunStatus.FAILURE, ended))
    if not failures:
        return 0.0
    until: float = (failures[0].end_time or 0.0) + min(60 * 2 ** len(failures), 3600)
    return max(0.0, until - time.time())


def _request(correction: Correction, grain: str) -> dg.RunRequest:
    window = correction.window
    if grain == "day":
        window = Window(window.start_ms // DAY_MS * DAY_MS, -(-window.end_ms // DAY_MS) * DAY_MS)
    tags = range_tags(correction.market, correction.market, window, grain)
    return dg.RunRequest(
        asset_selection=[dg.AssetKey(stage) for stage in correction.stages],
        tags={**tags, "dagster/priority": CORRECTION_PRIORITY, CORRECTION_TAG: "true"},
    )


def _failures(alert_url: str, default: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="failure_sensor",
        default_status=default,
        minimum_interval_seconds=30,
        description="Logs every failed run and posts it to REGIME_ALERT_URL where that is set.",
    )
    def failure_sensor(context: dg.RunFailureSensorContext) -> None:
        alert = {
            "run_id": context.dagster_run.run_id,
            "job": context.dagster_run.job_name,
            "partitions": context.dagster_run.tags.get("dagster/asset_partition_range_start", ""),
            "error": context.failure_event.message or "",
        }
        context.log.error("Run %(run_id)s of %(job)s failed: %(error)s", alert)
        if alert_url:
            send_alert(alert_url, alert)

    return failure_sensor


def build_site_sensor(job_name: str, is_on: bool = True) -> dg.SensorDefinition:
    """Return the sensor that has the dashboard made again; `job_name` is the job that does it."""

    @dg.sensor(
        name="site_sensor",
        default_status=default_status(is_on),
        job_name=job_name,
        minimum_interval_seconds=60,
        description="Rebuilds the dashboard after runs have written new hours, one run at a time.",
    )
    def site_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        newest = [context.instance.get_latest_materialization_event(dg.AssetKey(name)) for name in _BEHIND_SITE]
        cursor = " ".join(event.run_id if event else "-" for event in newest)
        if cursor == context.cursor or not any(newest):
            return dg.SkipReason("Nothing was written since the dashboard was made.")
        if context.cursor is None and _is_site_newer(context.instance, newest):
            context.update_cursor(cursor)
            return dg.SkipReason("Nothing was written since the dashboard was made.")
        if context.instance.get_runs_count(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED)):
            return dg.SkipReason("The dashboard is being made.")
        context.update_cursor(cursor)
        return dg.RunRequest(tags={"dagster/priority": SITE_PRIORITY})

    return site_sensor


def _is_site_newer(instance: dg.DagsterInstance, newest: Sequence[dg.EventLogEntry | None]) -> bool:
    """Whether the dashboard was made after all of it was written, by a demo or a backfill of the command line say."""
    made = instance.get_latest_materialization_event(dg.AssetKey("dashboard_site"))
    return made is not None and all(event is None or event.timestamp <= made.timestamp for event in newest)
