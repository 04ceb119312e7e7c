"""Tests of `regime verify-causality`: the report a user sees, and the exit code a script sees."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest

from regime_pipeline.cli import benchmark as verify
from regime_pipeline.cli.app import main
from regime_pipeline.domain.columnar import Rows
from regime_pipeline.evaluation.causality import verify_causality
from regime_pipeline_tests.python_api.factories import candles, frame_of


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("candles") / "candles.csv"
    frame_of(candles(1_200)).to_csv(path, index=False)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["regime", "verify-causality", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_sound_candles_get_a_table_and_code_0(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, str(file), "--market", "ETH-USDT_1h") == 0

    said = capsys.readouterr().out
    assert "ETH-USDT_1h: 1,200 candles, policy " in said
    assert "No row depends on the future." in said
    for way in ("one candle at a time", "single hours", "another future"):
        assert way.split()[0] in said


def test_a_leak_gets_code_3_and_is_named_in_json(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leaking(rows: Rows) -> Rows:
        return {**rows, "confidence": rows["confidence"] + len(rows["confidence"])}

    from regime_pipeline.evaluation import causality

    honest = causality.regime_rows
    monkeypatch.setattr(causality, "regime_rows", lambda found, policy: leaking(honest(found, policy)))
    assert verify.verify_causality is verify_causality

    assert run(monkeypatch, str(file), "--market", "ETH-USDT_1h", "--format", "json", "--cuts", "2") == 3

    report = orjson.loads(capsys.readouterr().out)
    assert report["is_causal"] is False
    leaked = {check["name"] for check in report["checks"] if check["differing"]}
    assert "the future cut off" in leaked
    assert {check["output"] for check in report["checks"] if check["differing"]} == {"candle regimes"}
    assert report["checks"][0]["examples"][0].endswith(" confidence")


def test_a_policy_of_ones_own_needs_its_null_table(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from regime_pipeline.policy.engine import __file__ as home

    text = Path(home).with_name("policy.toml").read_text("utf-8")
    own = tmp_path / "policy.toml"
    own.write_text(text.replace("er_bars = 36", "er_bars = 40"), "utf-8")

    assert run(monkeypatch, str(file), "--market", "ETH-USDT_1h", "--policy", str(own)) == 2

    assert "null table" in capsys.readouterr().err
