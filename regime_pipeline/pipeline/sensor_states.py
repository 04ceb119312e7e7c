"""Which sensors are on, and since when, in a Dagster instance; turning them on and off there, without a code server.

See `pipeline.sensors` for what they do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import yaml  # type: ignore[import-untyped]
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._time import get_current_timestamp

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.pipeline.instance import LOCATION, MODULE, REPOSITORY

_HEARD_WITHIN_S: Final = 300.0
"""A daemon that was not heard of for so long is taken to have ended; it beats every thirty seconds."""


@dataclass(frozen=True, slots=True)
class SensorState:
    """How a sensor stands.

    Parameters
    ----------
    name : str
        Of the sensor.
    is_on : bool
        It runs whenever a daemon does.
    since_s : float or None
        When it was turned on, epoch seconds; None where it is off, or is on from the daemon's first start.
    last_tick_s : float or None
        When it last looked, epoch seconds; None before its first tick.
    """

    name: str
    is_on: bool
    since_s: float | None
    last_tick_s: float | None


def sensor_states(instance: dg.DagsterInstance, names: Sequence[str], is_on_by_default: bool) -> list[SensorState]:
    """Return the state of each sensor; one that was never seen is as it is by default."""
    stored = _newest(instance)
    return [_state(name, stored.get(name), is_on_by_default) for name in names]


def is_daemon_alive(instance: dg.DagsterInstance) -> bool:
    """Say whether a daemon runs the sensors of this instance; without one those that are on do nothing."""
    beat = instance.get_daemon_heartbeats().get("SENSOR")
    return beat is not None and get_current_timestamp() - beat.timestamp < _HEARD_WITHIN_S


def switch_sensors(instance: dg.DagsterInstance, names: Sequence[str], is_on: bool, location: str = "") -> None:
    """Turn sensors on or off; a running daemon obeys at its next look.

    Parameters
    ----------
    instance : DagsterInstance
        Whose sensors.
    names : sequence of str
        Which.
    is_on : bool
        On or off.
    location : str
        Name of the code location where a sensor was never seen; that of `workspace_location` if empty.
    """
    for name in names:
        seen = [state for state in _stored(instance) if state.instigator_name == name]
        for state in seen:
            if state.is_running != is_on:
                instance.update_instigator_state(_switched(state, is_on))
        if not seen:
            instance.add_instigator_state(_switched(_unseen(name, location or workspace_location()), is_on))


def workspace_location(folder: str | None = None) -> str:
    """Return the code location's name in the workspace.yaml beside Dagster's own file; without one that of ours.

    Parameters
    ----------
    folder : str, optional
        Where to look; DAGSTER_HOME by default.
    """
    home = folder if folder is not None else os.environ.get("DAGSTER_HOME", "")
    file = Path(home) / "workspace.yaml"
    if not home or not file.is_file():
        return LOCATION
    entries = (yaml.safe_load(file.read_text("utf-8")) or {}).get("load_from") or []
    names = [str(entry["location_name"]) for found in entries for entry in found.values() if "location_name" in entry]
    if len(names) != 1:
        raise UsageError(f"{file} names {len(names)} code locations.", "Name one with --location.")
    return names[0]


def _stored(instance: dg.DagsterInstance) -> list[InstigatorState]:
    return list(instance.all_instigator_state(instigator_type=InstigatorType.SENSOR))


def _newest(instance: dg.DagsterInstance) -> dict[str, InstigatorState]:
    """By name the state that ticked last: another location's may be left over."""
    return {state.instigator_name: state for state in sorted(_stored(instance), key=_ticked)}


def _ticked(state: InstigatorState) -> float:
    return _data(state).last_tick_timestamp or 0.0


def _data(state: InstigatorState) -> SensorInstigatorData:
    return state.sensor_instigator_data or SensorInstigatorData()


def _state(name: str, state: InstigatorState | None, is_on_by_default: bool) -> SensorState:
    if state is None:
        return SensorState(name, is_on_by_default, None, None)
    is_declared = state.status == InstigatorStatus.DECLARED_IN_CODE
    is_on = is_on_by_default if is_declared else state.is_running
    data = _data(state)
    return SensorState(name, is_on, data.last_sensor_start_timestamp if is_on else None, data.last_tick_timestamp)


def _switched(state: InstigatorState, is_on: bool) -> InstigatorState:
    if not is_on:
        return state.with_status(InstigatorStatus.STOPPED)
    started: Any = _data(state).with_sensor_start_timestamp(get_current_timestamp())
    return state.with_status(InstigatorStatus.RUNNING).with_data(started)


def _unseen(name: str, location: str) -> InstigatorState:
    """The state of a sensor that no daemon has seen yet; Dagster finds it again by location, repository and name."""
    target = LoadableTargetOrigin(module_name=MODULE)
    repository = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(target, location_name=location), REPOSITORY)
    origin = RemoteInstigatorOrigin(repository, name)
    return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED, SensorInstigatorData())
