"""`regime lake`: writes what is stored, then nothing more, and refuses what is not stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from regime_pipeline.domain.market import Market
from regime_pipeline_tests.cli.cli_kit import regime
from regime_pipeline_tests.workbench import hours_from_start, run_stages, simulated_workspace

MARKET = Market("ALFA-USDT", "1h")


def test_what_is_stored_becomes_files(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated_workspace(database_url, tmp_path / "snapshots", [MARKET]) as workspace:
        run_stages(workspace, MARKET, [hours_from_start(0, 5)])
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGIME_DATABASE_URL", database_url)
    lake = tmp_path / "lake"

    assert regime(monkeypatch, "lake", str(lake)) == 0
    assert capsys.readouterr().out.startswith("8 files written (")
    folders = sorted(path.parent.relative_to(lake).as_posix() for path in lake.rglob("*.parquet"))
    assert folders[0] == "candle_hours/symbol=ALFA-USDT/timeframe=1h/month=2026-09"
    assert regime(monkeypatch, "lake", str(lake), "--market", "ALFA-USDT_1h", "--table", "candles") == 0
    assert capsys.readouterr().out.startswith("0 files written (0 rows, 0 bytes), 1 unchanged")

    assert regime(monkeypatch, "lake", str(lake), "--market", "ETH-USDT_1h") == 1
    assert "ETH-USDT_1h is not stored" in capsys.readouterr().err
    assert regime(monkeypatch, "lake", str(lake), "--table", "series") == 1
    assert "not a bulk table" in " ".join(capsys.readouterr().err.split())
