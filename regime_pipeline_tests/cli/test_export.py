"""Tests of `regime export`: what it writes is what the library reads, and without a database."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import yaml

import regime_pipeline as rp
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.verdicts.engine import reach_hours
from regime_pipeline.storage.snapshots.validation import from_document
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.domain.verdicts.factories import POLICY
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace

MARKET = Market("ALFA-USDT", "1h")
WINDOW = hours_from_start(0, 30)
LAST = to_iso(WINDOW.end_ms - HOUR_MS)


@pytest.fixture
def snapshots(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with simulated_workspace(database_url, tmp_path, [MARKET]) as workspace:
        run_stages(workspace, MARKET, [WINDOW])
    monkeypatch.setenv("REGIME_SNAPSHOT_ROOT", str(tmp_path))
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "nowhere"))
    return tmp_path


def test_a_bundle_is_all_that_the_library_needs(snapshots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = snapshots / "one.json"

    assert regime(monkeypatch, "export", "ALFAUSDT_1h", LAST, "--bundle", "--output", str(file)) == 0

    document = orjson.loads(file.read_bytes())
    assert document["historical_data"]["hours"] == reach_hours(MARKET, POLICY)
    assert len(document["historical_data"]["bars"]) == 29
    found = rp.analyze_snapshot(file)
    assert found["verdict"] == "INSUFFICIENT_DATA"  # the series is thirty hours old
    assert not (snapshots / "nowhere").exists()


@pytest.mark.parametrize("form", [(), ("--yaml",)])
def test_a_lean_snapshot_is_the_stored_one(
    snapshots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]
) -> None:
    assert regime(monkeypatch, "export", "ALFA-USDT_1h", LAST, *form) == 0

    text = capsys.readouterr().out
    snapshot = from_document(yaml.safe_load(text) if form else orjson.loads(text))
    assert (snapshot.market, to_iso(snapshot.hour_start_ms), len(snapshot.bars)) == (MARKET, LAST, 1)


def test_many_markets_become_files_named_by_hour_symbol_and_timeframe(
    snapshots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = snapshots / "out" / "deep"

    assert regime(monkeypatch, "export", "ALFA-USDT_1h,ALFA-USDT_1h", LAST, "--yaml", "--output", str(folder)) == 0
    assert regime(monkeypatch, "export", "ALFA-USDT_1h", LAST, "--yaml", "--output", str(folder)) == 0

    (file,) = folder.iterdir()
    assert file.name == f"{LAST[11:13]}_ALFA-USDT_1h.yaml"
    assert from_document(yaml.safe_load(file.read_text("utf-8"))).market == MARKET
    assert "1 files written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["ALFA-USDT_1h", "2031-01-01T00:00:00Z"], 1, "There is no snapshot of ALFA-USDT_1h 2031-01-01T00:00:00Z"),
        (["ALFA-USDT_1h", LAST, "--as-of", "2020-01-01T00:00:00Z"], 1, "There is no snapshot"),
        (["ALFA-USDT_1h", "2026-09-01T00:00:00"], 2, "offset"),
        (["ALFA-USDT_1h", LAST, "--bundle", "--yaml"], 2, "exclude each other"),
        (["ALFA-USDT_1h,ALFA-USDT_4h", LAST], 2, "Several markets go into a folder"),
        (["ALFA-USDT_1h,ALFA-USDT_1h", LAST, "--yaml"], 2, "Several markets go into a folder"),
        (["ALFA-USDT_1h", LAST, "--output", "/nowhere/at/all.json"], 2, "cannot be written"),
        (["ALFA-USDT_1h,ALFA-USDT_1h", LAST, "--yaml", "--output", "/dev/null/x"], 2, "cannot be made"),
    ],
)
def test_refusals_are_sentences(
    snapshots: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    assert regime(monkeypatch, "export", *words) == code
    assert said in " ".join(capsys.readouterr().err.split())
