"""`regime sensors`: which sensors are on and since when; turning them on and off, in and out of containers.

See `pipeline.sensors` for what they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from regime_pipeline.cli.console import err, out
from regime_pipeline.cli.instance import opened_instance
from regime_pipeline.cli.output import write_document
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.pipeline.sensor_states import SensorState, is_daemon_alive, sensor_states, switch_sensors
from regime_pipeline.pipeline.sensors import SENSORS
from regime_pipeline.settings import Settings

sensors_app = typer.Typer(name="sensors", help="What runs by itself while `regime up` runs.", no_args_is_help=True)
_Names = Annotated[
    list[str] | None, typer.Argument(help="Which, as `regime sensors list` shows them; all of them without one.")
]
_Location = Annotated[
    str,
    typer.Option(
        help="Code location of sensors that no daemon has seen yet; from DAGSTER_HOME/workspace.yaml if there is one."
    ),
]


@sensors_app.command("list")
def list_command(
    output_format: Annotated[Literal["table", "json"], typer.Option("--format", help="Form of the output.")] = "table",
) -> None:
    """List the sensors: on or off, since when, and when each last looked.

    Example: regime sensors list
    """
    settings = Settings()
    with opened_instance(settings) as instance:
        found = sensor_states(instance, list(SENSORS), settings.sensors)
        is_alive = is_daemon_alive(instance)
    if output_format == "json":
        write_document({"daemon_runs": is_alive, "sensors": [_row(state) for state in found]}, "-")
        return
    out.print(_table(found))
    if not is_alive:
        err.print("No daemon runs, so no sensor does: start `regime up`, or your own `dagster-daemon run`.")


@sensors_app.command("on")
def on_command(names: _Names = None, location: _Location = "") -> None:
    """Turn sensors on; they stay on when `regime up` is started again.

    Example: regime sensors on hourly_market_sensor
    """
    _switch(names, True, location)


@sensors_app.command("off")
def off_command(names: _Names = None, location: _Location = "") -> None:
    """Turn sensors off; they stay off when `regime up` is started again.

    Example: regime sensors off site_sensor
    """
    _switch(names, False, location)


def _switch(names: Sequence[str] | None, is_on: bool, location: str) -> None:
    unknown = [name for name in names or [] if name not in SENSORS]
    if unknown:
        raise UsageError(f"There is no sensor {', '.join(unknown)}.", f"There are {', '.join(SENSORS)}.")
    chosen = list(names or SENSORS)
    with opened_instance(Settings()) as instance:
        switch_sensors(instance, chosen, is_on, location)
        is_alive = is_daemon_alive(instance)
    when = " once a daemon runs" if is_on and not is_alive else ""
    out.print(f"{', '.join(chosen)}: {'on' if is_on else 'off'}{when}.", highlight=False)


def sensors_line(settings: Settings) -> str:
    """Say in a line which sensors run, since when, and which are off."""
    with opened_instance(settings) as instance:
        found = sensor_states(instance, list(SENSORS), settings.sensors)
    on = [f"{state.name} (since {_moment(state.since_s) or 'now'})" for state in found if state.is_on]
    off = [state.name for state in found if not state.is_on]
    parts = [f"sensors on: {', '.join(on) or 'none'}"]
    if off:
        parts.append(f"off: {', '.join(off)} (`regime sensors on NAME`)")
    return "   ".join(parts)


def _moment(seconds: float | None) -> str:
    return to_iso(int(seconds) * 1000) if seconds else ""


def _row(state: SensorState) -> dict[str, Any]:
    return {
        "name": state.name,
        "is_on": state.is_on,
        "since": _moment(state.since_s) or None,
        "last_tick": _moment(state.last_tick_s) or None,
        "does": SENSORS[state.name],
    }


def _table(found: Sequence[SensorState]) -> Table:
    table = Table(pad_edge=False)
    for header in ("sensor", "state", "since", "last tick"):
        table.add_column(header, no_wrap=True)
    for state in found:
        table.add_row(state.name, "on" if state.is_on else "off", _moment(state.since_s), _moment(state.last_tick_s))
    return table
