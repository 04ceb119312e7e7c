"""Tests of `pipeline.sensors`: one run per tick for the whole rectangle, a cursor, alerts that arrive."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from regime_pipeline.domain.errors import SourceError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.build import CHAIN_JOB, build_pipeline
from regime_pipeline.pipeline.sensors import build_sensors
from regime_pipeline.retry import RequestError, RetryPolicy
from regime_pipeline.services.chain.scheduling import Correction
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.webhooks import post_signed, send_alert
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import NOW, START, run_stages, simulated_workspace

MARKETS = (Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "15m"))
EVENING = NOW - HOUR_MS
HOURLY, CORRECTIONS, _ = build_sensors(CHAIN_JOB, "hour", "")


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path, MARKETS, clock=lambda: EVENING) as opened:
        yield replace(opened, universe=replace(opened.universe, end_ms=None))


def tick(sensor: dg.SensorDefinition, workspace: Workspace, cursor: str | None = None) -> dg.SensorExecutionData:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": workspace})
        return sensor.evaluate_tick(context)


def test_the_first_tick_runs_the_newest_hour_of_every_market_in_one_run(workspace: Workspace) -> None:
    found = tick(HOURLY, workspace)

    (request,) = found.run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-12-30-22:00|ALFA-USDT_1h"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-12-30-22:00|BRAVO-USDT_15m"
    assert request.tags["dagster/priority"] == "10"
    assert request.run_key is None
    assert found.cursor == str(EVENING)


def test_downtime_is_caught_up_in_one_run_and_then_nothing_is_new(workspace: Workspace) -> None:
    found = tick(HOURLY, workspace, str(EVENING - 5 * HOUR_MS))

    (request,) = found.run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-12-30-18:00|ALFA-USDT_1h"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-12-30-22:00|BRAVO-USDT_15m"
    again = tick(HOURLY, workspace, found.cursor)
    assert not again.run_requests
    assert again.skip_message == "Nothing has closed since 2026-12-30T23:00:00Z."


def test_an_hour_that_a_source_could_not_answer_for_is_asked_for_again_with_the_next_one(
    workspace: Workspace,
) -> None:
    raw = STAGES[0]
    gap = Window(EVENING - 9 * HOUR_MS, EVENING - 8 * HOUR_MS)

    class Deaf(SimulatedSource):
        def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
            raise SourceError("Nobody answers.")

    deaf = replace(workspace, source_of=lambda _: Deaf(7, lambda: EVENING, 100))
    assert raw.run(deaf, deaf.start_run(""), MARKETS[0], gap).failure == "Nobody answers."

    (request,) = tick(HOURLY, workspace, str(EVENING - HOUR_MS)).run_requests or []

    assert request.tags["dagster/asset_partition_range_start"] == "2026-12-30-14:00|ALFA-USDT_1h"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-12-30-22:00|BRAVO-USDT_15m"
    assert not tick(HOURLY, workspace, str(EVENING)).run_requests  # not before a new hour has closed


def test_the_last_hour_of_a_day_asks_for_three_days_again(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, MARKETS) as workspace:
        (request,) = tick(HOURLY, workspace, str(NOW - HOUR_MS)).run_requests or []

    assert request.tags["dagster/asset_partition_range_start"] == "2026-12-28-00:00|ALFA-USDT_1h"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-12-30-23:00|BRAVO-USDT_15m"


def test_a_long_downtime_is_caught_up_a_week_at_a_time(workspace: Workspace) -> None:
    found = tick(HOURLY, workspace, str(START))

    assert found.cursor == str(START + 168 * HOUR_MS)


def test_days_are_asked_for_when_they_are_over(workspace: Workspace) -> None:
    daily = build_sensors(CHAIN_JOB, "day", "")[0]

    found = tick(daily, workspace, str(NOW - 50 * HOUR_MS))

    (request,) = found.run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-12-28|ALFA-USDT_1h"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-12-29|BRAVO-USDT_15m"  # the 30th is not over
    assert tick(daily, workspace, found.cursor).skip_message


def test_a_source_that_fails_is_the_reason_to_skip(workspace: Workspace) -> None:
    class Down:
        def newest_closed_ms(self, market: Market) -> int:
            raise SourceError(f"{market} cannot be reached.")

    broken = replace(workspace, source_of=lambda _: Down())  # type: ignore[arg-type, return-value]

    found = tick(HOURLY, broken, str(NOW - HOUR_MS))

    assert not found.run_requests
    assert "No source could be reached: ALFA-USDT_1h cannot be reached." in str(found.skip_message)
    assert found.cursor == str(NOW - HOUR_MS)


def test_one_tick_with_a_wrong_clock_of_one_exchange_stops_nothing(workspace: Workspace) -> None:
    """The clock of the first market's exchange is a month ahead for one tick; a cursor of that kind is mended."""
    right = SimulatedSource(7, lambda: EVENING, 100)
    wrong = SimulatedSource(7, lambda: EVENING + 30 * 24 * HOUR_MS, 100)
    fooled = replace(workspace, source_of=lambda market: wrong if market == MARKETS[0] else right)

    found = tick(HOURLY, fooled, str(EVENING - HOUR_MS))

    assert found.cursor == str(EVENING)
    STAGES[0].run(workspace, workspace.start_run(""), MARKETS[1], Window(EVENING - 2 * HOUR_MS, EVENING - HOUR_MS))
    mended = tick(HOURLY, workspace, str(EVENING + 168 * HOUR_MS))
    (request,) = mended.run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-12-30-22:00|ALFA-USDT_1h"
    assert mended.cursor == str(EVENING)


def test_corrections_that_fail_are_not_asked_for_every_minute(workspace: Workspace) -> None:
    with dg.instance_for_test() as instance:
        run = instance.create_run_for_job(
            build_pipeline(workspace.universe, simulated_nothing).resolve_job_def(CHAIN_JOB),
            tags={"regime/correction": "true"},
        )
        instance.report_run_failed(run)
        context = dg.build_sensor_context(instance=instance, resources={"workspace": workspace})
        assert "tried again in 2 minutes" in str(CORRECTIONS.evaluate_tick(context).skip_message)


def test_a_correction_becomes_a_run_of_its_stages_and_window(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tick(CORRECTIONS, workspace).skip_message == "Nothing is stale."
    window = Window(START, START + 3 * HOUR_MS)
    found = (Correction(MARKETS[1], window, ("features", "scores")),)
    monkeypatch.setattr("regime_pipeline.pipeline.sensors.corrections", lambda _: found)

    (request,) = tick(CORRECTIONS, workspace).run_requests or []

    assert request.asset_selection == [dg.AssetKey("features"), dg.AssetKey("scores")]
    assert request.tags["dagster/asset_partition_range_start"] == "2026-09-01-00:00|BRAVO-USDT_15m"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-09-01-02:00|BRAVO-USDT_15m"
    daily = build_sensors(CHAIN_JOB, "day", "")[1]
    (whole,) = tick(daily, workspace).run_requests or []
    assert whole.tags["dagster/asset_partition_range_end"] == "2026-09-01|BRAVO-USDT_15m"


@pytest.mark.parametrize(("tag", "kind"), [("regime/correction", "correction"), ("regime/live", "hourly")])
def test_corrections_wait_for_the_runs_that_may_make_them(workspace: Workspace, tag: str, kind: str) -> None:
    """An hourly run marks later stages stale before it comes to them: what it will do is not run twice."""
    with dg.instance_for_test() as instance:
        instance.create_run_for_job(
            build_pipeline(workspace.universe, simulated_nothing).resolve_job_def(CHAIN_JOB), tags={tag: "true"}
        )
        context = dg.build_sensor_context(instance=instance, resources={"workspace": workspace})
        assert f"1 {kind} runs are not finished yet." in str(CORRECTIONS.evaluate_tick(context).skip_message)


def test_the_hourly_run_is_what_corrections_wait_for(workspace: Workspace) -> None:
    (request,) = tick(HOURLY, workspace).run_requests or []
    assert request.tags["regime/live"] == "true"


def test_the_first_tick_runs_nothing_where_the_newest_hour_is_stored(workspace: Workspace) -> None:
    """After a demo or a backfill of the command line a sensor that is on from the start has nothing to do."""
    newest = Window(EVENING - HOUR_MS, EVENING)
    run_stages(workspace, MARKETS[0], [newest])
    assert tick(HOURLY, workspace).run_requests
    run_stages(workspace, MARKETS[1], [newest])
    found = tick(HOURLY, workspace)

    assert not found.run_requests
    assert found.cursor == str(EVENING)


@contextmanager
def simulated_nothing() -> Iterator[Any]:
    yield None


@contextmanager
def receiver(status: int = 204, location: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook that remembers what it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Location", location)
            self.end_headers()

        def do_GET(self) -> None:
            got.append({"GET": self.path})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/alert", got
        finally:
            server.shutdown()
            thread.join()


def test_a_failed_run_is_posted_to_the_webhook() -> None:
    @dg.op
    def fails() -> None:
        raise ValueError("no candles today")

    @dg.job(tags={"dagster/asset_partition_range_start": "2026-09-01-00:00|ALFA-USDT_1h"})
    def market_chain() -> None:
        fails()

    with receiver() as (url, got), dg.instance_for_test() as instance:
        result = market_chain.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failure_sensor",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()
        build_sensors(CHAIN_JOB, "hour", url)[2](context)
        build_sensors(CHAIN_JOB, "hour", "")[2](context)

    (alert,) = got
    assert alert["run_id"] == result.run_id
    assert alert["job"] == "market_chain"
    assert alert["partitions"] == "2026-09-01-00:00|ALFA-USDT_1h"
    assert "failed" in alert["error"]


def test_an_alert_that_nobody_takes_is_an_error() -> None:
    with receiver(500) as (url, _), pytest.raises(RequestError, match="HTTP 500"):
        send_alert(url, {"run_id": "x"})
    with pytest.raises(RequestError, match="ConnectError"):
        send_alert("http://127.0.0.1:9/alert", {"run_id": "x"})
    with pytest.raises(UsageError, match="not an http"):
        send_alert("file:///etc/passwd", {})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_receiver_that_names_another_address_is_not_followed(status: int) -> None:
    """It could name one that only we can reach."""
    with receiver() as (inside, reached), receiver(status, inside) as (url, got):
        with pytest.raises(RequestError, match=f"HTTP {status}"):
            send_alert(url, {"run_id": "x"})
        with pytest.raises(SourceError, match=f"HTTP {status}"):
            post_signed(url, "secret", {"verdict": "TREND"}, "id", RetryPolicy.of_this_machine(1))
    assert len(got) == 2
    assert reached == []
