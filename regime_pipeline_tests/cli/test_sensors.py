"""Tests of `regime sensors`: listed, switched, and refused by name; the setting that turns all of them off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regime_pipeline.cli.sensors import sensors_line
from regime_pipeline.pipeline.sensors import SENSORS
from regime_pipeline.settings import Settings
from regime_pipeline_tests.cli import fixtures as cli_kit

pytestmark = pytest.mark.slow


def test_sensors_are_listed_and_switched(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGIME_HOME", str(home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("DAGSTER_PG_URL", raising=False)

    def regime(*words: str) -> tuple[int, str, str]:
        code = cli_kit.regime(monkeypatch, *words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, said, noted = regime("sensors", "list")
    assert code == 0
    assert [line.split()[0].strip("│ ") for line in said.splitlines() if "_sensor" in line] == list(SENSORS)
    assert "No daemon runs, so no sensor does: start `regime up`" in " ".join(noted.split())

    assert regime("sensors", "off", "site_sensor", "correction_sensor")[:2] == (
        0,
        "site_sensor, correction_sensor: off.\n",
    )
    assert regime("sensors", "on", "correction_sensor")[1] == "correction_sensor: on once a daemon runs.\n"
    document = json.loads(regime("sensors", "list", "--format", "json")[1])
    assert document["daemon_runs"] is False
    assert {row["name"]: row["is_on"] for row in document["sensors"]} == {
        name: name != "site_sensor" for name in SENSORS
    }
    line = sensors_line(Settings())
    assert "hourly_market_sensor (since now)" in line
    assert "off: site_sensor (`regime sensors on NAME`)" in line

    code, _, noted = regime("sensors", "on", "sight_sensor")
    assert code == 2
    assert "There is no sensor sight_sensor. There are hourly_market_sensor, correction_sensor" in " ".join(
        noted.split()
    )

    monkeypatch.setenv("REGIME_SENSORS", "off")
    document = json.loads(regime("sensors", "list", "--format", "json")[1])
    assert [row["name"] for row in document["sensors"] if row["is_on"]] == ["correction_sensor"]
    regime("sensors", "on")
    assert "off:" not in sensors_line(Settings())
