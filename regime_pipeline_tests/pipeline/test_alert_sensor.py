"""Tests of the alert sensor: what the file asks for arrives over HTTP, once; a wrong file is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from regime_pipeline.pipeline.alert_sensor import build_alert_sensor, failed_runs
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.services.alerts.market import HOURS, alfa, change, receiver

FILE = """
[[channels]]
name = "chat"
apprise = "json://{chat}/"

[[rules]]
channels = ["chat"]
markets = ["ALFA-USDT_1h"]
"""


@pytest.fixture
def ws(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with alfa(database_url, tmp_path) as opened:
        yield opened


def tick(instance: dg.DagsterInstance, ws: Workspace, file: Path) -> str:
    context = dg.build_sensor_context(instance=instance, resources={"workspace": ws})
    return build_alert_sensor(file, "").evaluate_tick(context).skip_message or ""


@dg.op
def fails() -> None:
    raise RuntimeError("the stage broke") from ValueError("no candles today.\nand more")


def failing_run(instance: dg.DagsterInstance, **tags: str) -> str:
    @dg.job(tags=tags)
    def market_chain() -> None:
        fails()

    return market_chain.execute_in_process(instance=instance, raise_on_error=False).run_id


def test_what_the_file_asks_for_is_sent_once(ws: Workspace, tmp_path: Path) -> None:
    change(ws, "grid_advice", 44, HOURS, close=1_900.0)
    with receiver(500) as (chat, got), dg.instance_for_test() as instance:
        file = tmp_path / "alerts.toml"
        file.write_text(FILE.format(chat=chat), "utf-8")
        said = [tick(instance, ws, file) for _ in range(3)]

    assert said == ["0 alerts sent. chat: The service did not take the message.", "1 alerts sent.", "0 alerts sent."]
    assert len(got) == 2
    assert "is 5.0% below the grid 2,000 to 2,500" in got[1][1]["message"]


def test_without_a_file_nobody_is_sent_and_a_wrong_one_is_a_sentence(ws: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    with dg.instance_for_test() as instance:
        assert tick(instance, ws, file) == f"{file} has no rules."
        file.write_text(FILE.replace("ALFA", "DOGE"), "utf-8")
        assert "matches none of markets.toml" in tick(instance, ws, file)


def test_runs_that_failed_for_good_are_sent_with_their_cause() -> None:
    span = {
        "dagster/asset_partition_range_start": "2026-09-01-00:00|ALFA-USDT_1h",
        "dagster/asset_partition_range_end": "2026-09-01-05:00|ALFA-USDT_1h",
    }
    with dg.instance_for_test() as instance:
        run_id = failing_run(instance, **span)
        failing_run(instance, **{"dagster/will_retry": "true"})
        (alert,) = failed_runs(instance)

    assert alert.alert_id == f"failed_run {run_id}"
    where = "over 2026-09-01-00:00|ALFA-USDT_1h to 2026-09-01-05:00|ALFA-USDT_1h"
    assert alert.message.startswith(f"The run {run_id[:8]} of market_chain {where} failed at 20")
    assert alert.message.endswith("Z: ValueError: no candles today.")


def test_a_run_that_failed_before_its_first_step_has_no_cause() -> None:
    @dg.job
    def market_chain() -> None:
        fails()

    with dg.instance_for_test() as instance:
        run = instance.create_run_for_job(market_chain)
        instance.report_run_failed(run)
        (alert,) = failed_runs(instance)

    assert alert.message.endswith("Z.")
