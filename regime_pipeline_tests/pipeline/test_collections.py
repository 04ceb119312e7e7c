"""A webhook that has the newest hour collected: asked over HTTP, run by the hourly sensor, answered when there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psycopg
import pytest

from regime_pipeline.cli.serve import api_served
from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.pipeline.build import CHAIN_JOB, build_pipeline
from regime_pipeline.pipeline.partitions import partition_key
from regime_pipeline.pipeline.sensors import build_sensors
from regime_pipeline.services.chain.collections import due_collections, is_collected
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import START, run_stages, simulated_workspace

ALFA, BRAVO = Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "1h")
NEWEST = START + 30 * HOUR_MS
"""The hour that has just closed; those before it are stored."""
NOW = NEWEST + HOUR_MS + 60_000
HOURLY = build_sensors(CHAIN_JOB, "hour", "")[0]
PAST = str(NEWEST + HOUR_MS)
"""A cursor that has asked for the newest hour already."""


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path, [ALFA, BRAVO], clock=lambda: NOW) as opened:
        for market in (ALFA, BRAVO):
            run_stages(opened, market, [Window(START, NEWEST)])
        yield opened


def tick(workspace: Workspace, instance: dg.DagsterInstance, cursor: str) -> list[dg.RunRequest]:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": workspace})
    return list(HOURLY.evaluate_tick(context).run_requests or [])


def run(workspace: Workspace, instance: dg.DagsterInstance, request: dg.RunRequest) -> bool:
    @contextmanager
    def open_workspace() -> Iterator[Workspace]:
        yield workspace

    job = build_pipeline(workspace.universe, open_workspace).resolve_job_def(CHAIN_JOB)
    return job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False).success


def ask(url: str, **question: Any) -> httpx.Response:
    return httpx.post(f"{url}api/hooks/analyze", json={"symbol": "ALFA-USDT", "collect": True, **question})


def test_the_hour_is_asked_for_collected_by_a_run_and_then_answered(workspace: Workspace) -> None:
    with api_served(workspace, "127.0.0.1", 0) as url, dg.instance_for_test() as instance:
        pending = ask(url, request_id="fresh")
        again = ask(url, request_id="fresh")
        where = url.rstrip("/") + pending.json()["status_url"]
        (request,) = tick(workspace, instance, PAST)
        while_running = httpx.get(where)
        second_tick = tick(workspace, instance, PAST)
        is_run_well = run(workspace, instance, request)
        done = httpx.get(where)
        at_once = ask(url, request_id="later")

    assert [answer.status_code for answer in (pending, again, while_running)] == [202] * 3
    assert pending.headers["Retry-After"] == "15"
    assert request.tags["dagster/asset_partition_range_start"] == partition_key(ALFA, NEWEST)
    assert request.tags["dagster/asset_partition_range_end"] == partition_key(ALFA, NEWEST)
    assert second_tick == []
    assert is_run_well
    for answer in (done, at_once):
        assert answer.status_code == 200
        assert (answer.json()["hour_start"], answer.json()["collected"]) == (to_iso(NEWEST), True)


def test_what_the_hourly_run_covers_is_not_run_twice(workspace: Workspace) -> None:
    workspace.warehouse.hooks.want(ALFA, NEWEST)
    with dg.instance_for_test() as instance:
        (request,) = tick(workspace, instance, str(NEWEST))
        assert request.tags["dagster/asset_partition_range_end"] == partition_key(BRAVO, NEWEST)
        assert tick(workspace, instance, PAST) == []


def test_a_collection_waits_for_live_runs_that_are_not_finished(workspace: Workspace) -> None:
    with dg.instance_for_test() as instance:
        job = build_pipeline(workspace.universe, simulated_nothing).resolve_job_def(CHAIN_JOB)
        live = instance.create_run_for_job(job, tags={"regime/live": "true"})
        workspace.warehouse.hooks.want(ALFA, NEWEST)
        assert tick(workspace, instance, PAST) == []
        instance.report_run_failed(live)
        assert len(tick(workspace, instance, PAST)) == 1


@contextmanager
def simulated_nothing() -> Iterator[Any]:
    yield None


def test_a_lost_run_is_launched_again_once_someone_still_waits(workspace: Workspace) -> None:
    hooks = workspace.warehouse.hooks
    hooks.want(ALFA, NEWEST)
    assert due_collections(workspace, None) == [(ALFA, Window(NEWEST, NEWEST + HOUR_MS))]
    hooks.want(ALFA, NEWEST)
    assert due_collections(workspace, None) == []
    with psycopg.connect(workspace.warehouse.url) as connection:
        connection.execute("UPDATE collect_request SET launched_at = now() - interval '6 minutes'")
    hooks.want(ALFA, NEWEST)
    assert due_collections(workspace, None) == [(ALFA, Window(NEWEST, NEWEST + HOUR_MS))]


def test_what_the_source_has_not_closed_or_cannot_say_waits(workspace: Workspace) -> None:
    class Down(SimulatedSource):
        def newest_closed_ms(self, market: Market) -> int:
            raise SourceError("Nobody answers.")

    slow = replace(workspace, source_of=lambda _: SimulatedSource(7, lambda: NEWEST + 60_000, 100))
    down = replace(workspace, source_of=lambda _: Down(7, lambda: NOW, 100))
    workspace.warehouse.hooks.want(ALFA, NEWEST)
    assert due_collections(slow, None) == []
    assert due_collections(down, None) == []
    assert due_collections(workspace, None) == [(ALFA, Window(NEWEST, NEWEST + HOUR_MS))]


def test_an_hour_that_is_there_and_a_market_that_is_gone_are_not_run(workspace: Workspace) -> None:
    hooks = workspace.warehouse.hooks
    hooks.want(ALFA, NEWEST - HOUR_MS)
    hooks.want(Market("GONE-USDT", "1h"), NEWEST)
    assert is_collected(workspace, ALFA, NEWEST - HOUR_MS)
    assert due_collections(workspace, None) == []
    assert hooks.wanted() == []


def test_what_does_not_come_about_is_answered_with_what_is_stored(workspace: Workspace) -> None:
    with api_served(workspace, "127.0.0.1", 0) as url:
        where = url.rstrip("/") + ask(url, request_id="never").json()["status_url"]
        with psycopg.connect(workspace.warehouse.url) as connection:
            connection.execute("UPDATE hook_request SET asked_at = now() - interval '16 minutes'")
        found = httpx.get(where)

    assert found.status_code == 200
    assert (found.json()["hour_start"], found.json()["collected"]) == (to_iso(NEWEST - HOUR_MS), False)


def test_what_no_run_can_collect_is_refused(workspace: Workspace) -> None:
    specs = tuple(replace(spec, source="files") for spec in workspace.universe.specs)
    filed = replace(workspace, universe=replace(workspace.universe, specs=specs))
    with api_served(filed, "127.0.0.1", 0) as url:
        by_files = ask(url)
    with api_served(workspace, "127.0.0.1", 0) as url:
        too_early = ask(url, trigger_time=to_iso(START))
        unlisted = ask(url, symbol="GONE-USDT")

    assert [answer.status_code for answer in (by_files, too_early, unlisted)] == [422] * 3
    assert "has the source 'files', which nothing can be collected from. Leave out collect" in by_files.json()["error"]
    assert "has no partition 2026-08-31T23:00:00Z" in too_early.json()["error"]
    assert "is not in markets.toml" in unlisted.json()["error"]


def test_with_day_partitions_a_closed_day_is_collected_whole_and_an_open_one_refused(workspace: Workspace) -> None:
    """The stored hours end on the second day; two days later its 30th hour and the one after it are wanted."""
    later = NEWEST // DAY_MS * DAY_MS + DAY_MS + 2 * HOUR_MS + 60_000
    source = SimulatedSource(7, lambda: later, 100)
    daily = replace(workspace, clock=lambda: later, partition_ms=DAY_MS, source_of=lambda _: source)
    day = Window(NEWEST // DAY_MS * DAY_MS, NEWEST // DAY_MS * DAY_MS + DAY_MS)
    with api_served(daily, "127.0.0.1", 0) as url, dg.instance_for_test() as instance:
        today = ask(url)
        pending = ask(url, request_id="a", trigger_time=to_iso(NEWEST + HOUR_MS))
        ask(url, request_id="b", trigger_time=to_iso(NEWEST + 2 * HOUR_MS))
        context = dg.build_sensor_context(instance=instance, cursor=str(day.end_ms), resources={"workspace": daily})
        (request,) = build_sensors(CHAIN_JOB, "day", "")[0].evaluate_tick(context).run_requests or []
        run_stages(daily, ALFA, [day])
        done = httpx.get(url.rstrip("/") + pending.json()["status_url"])

    assert today.status_code == 422
    assert f"Partitions are days (REGIME_PARTITION), and the one with {to_iso(day.end_ms + HOUR_MS)}" in today.text
    assert request.tags["dagster/asset_partition_range_start"] == partition_key(ALFA, day.start_ms, "day")
    assert request.tags["dagster/asset_partition_range_end"] == partition_key(ALFA, day.start_ms, "day")
    assert (done.json()["hour_start"], done.json()["collected"]) == (to_iso(NEWEST), True)
