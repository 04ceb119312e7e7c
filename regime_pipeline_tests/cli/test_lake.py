"""`regime lake`: writes what is stored, then nothing more, and refuses what is not stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.storage.factories import MINUTES, begin, hours, random_candles, write_candles

pytestmark = pytest.mark.postgres


def test_what_is_stored_becomes_files(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade(database_url)
    with Warehouse(database_url) as warehouse:
        write_candles(warehouse, random_candles(MINUTES, hours(0, 5)), hours(0, 5), begin(warehouse, MINUTES))
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGIME_DATABASE_URL", database_url)
    lake = tmp_path / "lake"

    assert regime(monkeypatch, "lake", str(lake)) == 0
    assert capsys.readouterr().out.startswith("2 files written (305 rows")
    folders = sorted(path.parent.relative_to(lake).as_posix() for path in lake.rglob("*.parquet"))
    place = "symbol=SOL-USDT/timeframe=1m/month=2024-03"
    assert folders == [f"candle_hours/{place}", f"candles/{place}"]
    assert regime(monkeypatch, "lake", str(lake), "--market", "SOL-USDT_1m", "--table", "candles") == 0
    assert capsys.readouterr().out.startswith("0 files written (0 rows, 0 bytes), 1 unchanged")

    assert regime(monkeypatch, "lake", str(lake), "--market", "ETH-USDT_1h") == 1
    assert "ETH-USDT_1h is not stored" in capsys.readouterr().err
    assert regime(monkeypatch, "lake", str(lake), "--table", "series") == 1
    assert "not a bulk table" in " ".join(capsys.readouterr().err.split())
