"""Tests of `regime hold`: the answer in sentences or as JSON, and mistakes in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.hold import HoldQuery, hold_answer
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.served_home import BTC, ETH

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: Workspace) -> None:
    (tmp_path / "markets.toml").write_text("[partitions]\nstart = 2026-09-01T00:00:00Z\n")
    monkeypatch.setenv("REGIME_HOME", str(tmp_path))
    monkeypatch.setenv("REGIME_MARKETS", str(tmp_path / "markets.toml"))
    monkeypatch.setenv("REGIME_DATABASE_URL", served.warehouse.url)


def test_json_is_the_answer_of_the_service(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    close = hold_answer(served, ETH, HoldQuery())["close"]
    lower, upper = round(close * 0.97, 2), round(close * 1.03, 2)
    expected = hold_answer(served, ETH, HoldQuery(lower, upper, 72, 0.6))

    words = ("--lower", str(lower), "--upper", str(upper), "--hours", "72", "--probability", "0.6", "--format", "json")
    assert regime(monkeypatch, "hold", "ETH-USDT", *words) == 0

    found = json.loads(capsys.readouterr().out)
    ages = ("data_age_seconds", "data_age_s")
    assert {name: value for name, value in found.items() if name not in ages} == {
        name: value for name, value in expected.items() if name not in ages
    }


@pytest.mark.parametrize("words", [("BTC-USDT_15m",), ("BTC-USDT", "--timeframe", "15m"), ("BTCUSDT_15m",)])
def test_sentences_say_probability_and_band(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    close = hold_answer(served, BTC, HoldQuery())["close"]
    lower, upper = round(close * 0.97, 2), round(close * 1.03, 2)
    expected = hold_answer(served, BTC, HoldQuery(lower, upper))

    assert regime(monkeypatch, "hold", *words, "--lower", str(lower), "--upper", str(upper)) == 0

    text = capsys.readouterr().out
    assert f"BTC-USDT_15m closed at {close:.6g}" in text
    assert f"{lower:.6g} to {upper:.6g}: {expected['hold_probability']:.0%}" in text
    assert f"24 h with 80%: {expected['band']['lower']:.6g} to {expected['band']['upper']:.6g}" in text


def test_a_band_that_the_close_has_left_and_no_band_at_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "hold", "ETH-USDT", "--lower", "1", "--upper", "2") == 0
    assert "the close is not between 1 to 2: 0%" in capsys.readouterr().out
    assert regime(monkeypatch, "hold", "ETH-USDT") == 0
    assert "every close" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("DOGE-USDT",), 1, "DOGE-USDT_1h"),
        (("ETH-USDT", "--lower", "5"), 2, "both edges"),
        (("ETH-USDT", "--lower", "5", "--upper", "4"), 2, "not a band of prices"),
        (("ETH-USDT", "--hours", "5"), 2, "'--hours'"),
        (("ETH-USDT", "--probability", "80"), 2, "'--probability'"),
        (("ETH-USDT", "--timeframe", "1d"), 2, "no hold probability on 1d"),
        (("ETH-USDT_1h", "--timeframe", "15m"), 2, "Name the timeframe once"),
        (("ETH-USDT", "--format", "csv"), 2, "--format table or json"),
    ],
)
def test_mistakes_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, says: str
) -> None:
    assert regime(monkeypatch, "hold", *words) == code
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
