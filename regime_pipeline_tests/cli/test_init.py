"""`regime init`: a list of markets to begin with, never written over another."""

from __future__ import annotations

from pathlib import Path

import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.market_list import write_starter
from regime_pipeline.services.universe import load_universe
from regime_pipeline_tests.cli.fixtures import regime

START = to_ms("2026-09-01T00:00:00Z")


def test_it_writes_one_simulated_market_and_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert regime(monkeypatch, "init") == 0

    (spec,) = load_universe(tmp_path / "markets.toml").specs
    assert (str(spec.market), spec.source) == ("ALFA-USDT_1h", "simulated")
    said = capsys.readouterr().out
    assert str(tmp_path / "markets.toml") in said
    for named in ("regime backfill", "regime status", "regime up"):
        assert named in said
    assert "make " not in said


def test_a_list_that_is_there_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "markets.toml").write_text("# mine\n", "utf-8")

    assert regime(monkeypatch, "init") == 2

    assert "exists already. Edit it" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "markets.toml").read_text("utf-8") == "# mine\n"


def test_every_entry_in_its_comments_is_a_sound_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "markets.toml"
    write_starter(path, START)
    lines = path.read_text("utf-8").splitlines()
    text = "\n".join(line.removeprefix("# ") if "=" in line or "[[" in line else line for line in lines)
    path.write_text(text, "utf-8")

    universe = load_universe(path)

    assert (universe.start_ms, universe.end_ms) == (START, to_ms("2030-01-01T00:00:00Z"))
    assert [(str(spec.market), spec.source) for spec in universe.specs] == [
        ("ALFA-USDT_1h", "simulated"),
        ("BTC-USDT_1m", "files"),
        ("BTC-USDT_15m", "resampled"),
        ("BTC-USDT_1h", "resampled"),
        ("ETH-USDT_1h", "exchange"),
    ]
    with pytest.raises(UsageError, match="exists already"):
        write_starter(path, START)
