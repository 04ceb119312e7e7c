"""Tests of which sensors are on: by default, switched before and after a daemon saw them, and beside a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._daemon.types import DaemonHeartbeat

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.pipeline import sensor_states as states_module
from regime_pipeline.pipeline.instance import LOCATION
from regime_pipeline.pipeline.sensor_states import (
    SensorState,
    is_daemon_alive,
    sensor_states,
    switch_sensors,
    workspace_location,
)
from regime_pipeline.pipeline.sensors import SENSORS
from regime_pipeline.settings import Settings
from regime_pipeline_tests.conftest import REPOSITORY

NOW_S = 1_800_000_000.0
HOURLY, SITE = "hourly_market_sensor", "site_sensor"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(states_module, "get_current_timestamp", lambda: NOW_S)
    with dg.instance_for_test() as opened:
        yield opened


def stored(instance: dg.DagsterInstance) -> dict[str, tuple[InstigatorStatus, str]]:
    return {
        state.instigator_name: (state.status, state.repository_selector.location_name)
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    }


@pytest.mark.parametrize("is_on", [True, False])
def test_every_sensor_of_the_definitions_is_listed_and_on_unless_the_setting_says_off(
    tmp_path: Path, is_on: bool
) -> None:
    settings = Settings(home=tmp_path, markets=REPOSITORY / "markets.toml", sensors=is_on)
    found = {sensor.name: sensor for sensor in build_definitions(settings).sensors or []}

    assert found.keys() == SENSORS.keys()
    wanted = dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED
    assert {sensor.default_status for sensor in found.values()} == {wanted}


@pytest.mark.parametrize("is_on", [True, False])
def test_a_sensor_that_was_never_seen_is_as_by_default(instance: dg.DagsterInstance, is_on: bool) -> None:
    assert sensor_states(instance, [HOURLY], is_on) == [SensorState(HOURLY, is_on, None, None)]


def test_a_sensor_can_be_switched_before_and_after_a_daemon_saw_it(instance: dg.DagsterInstance) -> None:
    switch_sensors(instance, [SITE], is_on=False)
    assert stored(instance) == {SITE: (InstigatorStatus.STOPPED, LOCATION)}
    assert [state.is_on for state in sensor_states(instance, [HOURLY, SITE], True)] == [True, False]

    switch_sensors(instance, [SITE], is_on=True)
    switch_sensors(instance, [SITE], is_on=True)
    assert stored(instance) == {SITE: (InstigatorStatus.RUNNING, LOCATION)}
    assert sensor_states(instance, [SITE], False) == [SensorState(SITE, True, NOW_S, None)]


def test_what_the_daemon_declared_follows_the_setting_until_it_is_switched(instance: dg.DagsterInstance) -> None:
    switch_sensors(instance, [HOURLY], is_on=True, location="elsewhere")
    (seen,) = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    instance.update_instigator_state(seen.with_status(InstigatorStatus.DECLARED_IN_CODE))

    assert [sensor_states(instance, [HOURLY], on)[0].is_on for on in (True, False)] == [True, False]
    switch_sensors(instance, [HOURLY], is_on=False)
    assert stored(instance) == {HOURLY: (InstigatorStatus.STOPPED, "elsewhere")}
    assert not sensor_states(instance, [HOURLY], True)[0].is_on


def test_a_daemon_is_alive_while_it_beats(instance: dg.DagsterInstance) -> None:
    assert not is_daemon_alive(instance)
    for age_s, is_alive in ((299, True), (301, False)):
        instance.add_daemon_heartbeat(DaemonHeartbeat(NOW_S - age_s, "SENSOR", "1", []))
        assert is_daemon_alive(instance) == is_alive


def test_the_location_is_that_of_the_workspace_beside_the_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert workspace_location() == LOCATION
    assert workspace_location(str(tmp_path)) == LOCATION
    shipped = (REPOSITORY / "docker" / "workspace.yaml").read_text("utf-8")
    (tmp_path / "workspace.yaml").write_text(shipped, "utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert workspace_location() == "regime_pipeline"
    (tmp_path / "workspace.yaml").write_text("load_from: []", "utf-8")
    with pytest.raises(UsageError, match=r"names 0 code locations. Name one with --location"):
        workspace_location()
