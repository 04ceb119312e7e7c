"""Tests of `regime doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import regime_pipeline as rp
from regime_pipeline.bootstrap import open_databases, open_workspace
from regime_pipeline.policy.engine import __file__ as policy_home
from regime_pipeline.services.grids import proposed_fields, update_grid
from regime_pipeline.settings import Settings
from regime_pipeline_tests.cli import fixtures as cli_kit
from regime_pipeline_tests.python_api.factories import candles, frame_of

pytestmark = pytest.mark.slow

MARKETS = """
[partitions]
start = 2026-09-01T00:00:00Z
end = 2026-09-01T03:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1h"]
source = "simulated"
"""


def regime(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli_kit.regime(monkeypatch, *words)
    return code, " ".join(capsys.readouterr().out.split())


def test_a_changed_policy_makes_its_rows_stale_visibly_and_a_backfill_mends_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "markets.toml").write_text(MARKETS, "utf-8")
    monkeypatch.setenv("REGIME_HOME", str(home))
    assert regime(monkeypatch, capsys, "backfill")[0] == 0
    code, said = regime(monkeypatch, capsys, "doctor")
    assert code == 0
    assert "1 in " in said
    assert "every stored hour is of this policy" in said
    assert "no market lacks an hour that another has" in said
    assert "nothing waits to be computed again" in said
    assert "none was ever launched" in said
    assert "live operation is on, and begins when `regime up` runs" in said
    monkeypatch.setenv("REGIME_SENSORS", "off")
    assert "off: hourly_market_sensor, correction_sensor" in regime(monkeypatch, capsys, "doctor")[1]

    with rp.RegimeStorage(open_databases(Settings()).regimes) as storage:  # of no listed market, by another policy
        storage.insert_regimes(rp.classify_candles(frame_of(candles(300))), "DOGE-USDT", "1h", policy_hash="other")
    code, said = regime(monkeypatch, capsys, "doctor")
    assert code == 0
    assert "every stored hour is of this policy. Left alone, for they are not in markets.toml: DOGE-USDT_1h." in said

    text = Path(policy_home).with_name("policy.toml").read_text("utf-8")
    own = tmp_path / "policy.toml"
    own.write_text(text.replace("risk_from = 60.0", "risk_from = 65.0"), "utf-8")
    monkeypatch.setenv("REGIME_POLICY", str(own))

    code, said = regime(monkeypatch, capsys, "doctor")
    assert code == 3
    tables = ("regime_verdicts", "grid_advice", "dashboard_hours")
    assert f"another policy wrote {', '.join(f'{table} 3 hours of 1 markets' for table in tables)}." in said
    assert "regime backfill" in said

    assert regime(monkeypatch, capsys, "backfill")[0] == 0
    assert regime(monkeypatch, capsys, "doctor")[0] == 0
    with open_workspace(Settings()) as workspace:
        early = replace(workspace, clock=lambda: workspace.universe.start_ms + 1)
        fields = proposed_fields(early, "ALFA-USDT")
        update_grid(early, "ALFA-USDT", fields, expected_version=0, who="ada", why="first")
    code, said = regime(monkeypatch, capsys, "doctor")
    assert code == 0
    assert "3 stored hours of 1 markets are older than a change (grid version 1)" in said


def test_what_cannot_be_read_is_a_sentence_and_the_rest_is_still_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGIME_HOME", str(home))

    code, said = regime(monkeypatch, capsys, "doctor")

    assert code == 3
    assert "There is no markets file at" in said
    assert "ok policy the shipped one" in said
