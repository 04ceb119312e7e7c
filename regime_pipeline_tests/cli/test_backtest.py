"""Tests of `regime backtest`: three files and a table, exit codes, and every refusal in a sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.services.backtest.factories import ALFA, BRAVO, store_snapshots

STORED = hours_from_start(0, 48)
SPAN = ("--start", "2026-09-01T00:00:00Z", "--end", "2026-09-03T00:00:00Z")
WHOLE = ("backtest", "--symbols", "ALFA-USDT", *SPAN)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshots")
    store_snapshots(folder, ALFA, STORED)
    store_snapshots(folder, BRAVO, STORED, without=[hours_from_start(10, 15)])
    return folder


@pytest.fixture
def output(snapshots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the report goes; the home has neither database nor markets."""
    monkeypatch.setenv("REGIME_SNAPSHOT_ROOT", str(snapshots))
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "nowhere"))
    return tmp_path / "made" / "report"


def words(text: str) -> str:
    return " ".join(text.split())


def test_snapshots_become_three_files_and_a_table(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, *WHOLE, "--output", str(output)) == 0

    said = capsys.readouterr()
    assert sorted(path.name for path in output.iterdir()) == ["report.html", "report.json", "rows.csv"]
    figures = json.loads((output / "report.json").read_bytes())["markets"]["ALFA-USDT"]
    assert (figures["hours"], figures["missing"]) == (48, 0)
    assert len(list(csv.DictReader((output / "rows.csv").read_text("utf-8").splitlines()))) == 48
    assert "Backtest 2026-09-01T00:00:00Z to 2026-09-03T00:00:00Z" in said.out
    assert "ALFA-USDT 48 0% 0% 0% 0% 100%" in words(said.out)
    assert "…" not in said.out
    assert f"Wrote report.html, report.json and rows.csv to {output}." in said.err
    assert not (output.parent.parent / "nowhere").exists()


def test_missing_hours_are_counted_and_the_exit_code_says_so(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--symbols", "ALFA-USDT,BRAVO-USDT,NIX-USDT", *SPAN, "--output", str(output))

    assert regime(monkeypatch, "backtest", *options) == 3

    said = capsys.readouterr()
    assert "5 of 48 hours of BRAVO-USDT_1h have no snapshot." in words(said.err)
    assert "48 of 48 hours of NIX-USDT_1h have no snapshot." in words(said.err)
    assert "All markets 91" in words(said.out)
    assert json.loads((output / "report.json").read_bytes())["overall"]["missing"] == 53


def test_another_folder_of_snapshots(snapshots: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_SNAPSHOT_ROOT", str(output / "empty"))

    assert regime(monkeypatch, *WHOLE, "--output", str(output)) == 1
    assert regime(monkeypatch, *WHOLE, "--output", str(output), "--snapshots", str(snapshots)) == 0


@pytest.mark.postgres
def test_the_database_gives_the_same_rows(
    database_url: str, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with simulated_workspace(database_url, tmp_path / "files", [ALFA]) as workspace:
        run_stages(workspace, ALFA, [STORED])
    assert regime(monkeypatch, *WHOLE, "--output", str(output)) == 0
    markets = tmp_path / "markets.toml"
    markets.write_text("[partitions]\nstart = 2026-09-01T00:00:00Z\n", "utf-8")
    monkeypatch.setenv("REGIME_MARKETS", str(markets))
    monkeypatch.setenv("REGIME_DATABASE_URL", database_url)

    assert regime(monkeypatch, *WHOLE, "--database", "--output", str(tmp_path / "stored")) == 0

    assert (tmp_path / "stored" / "rows.csv").read_bytes() == (output / "rows.csv").read_bytes()
    assert regime(monkeypatch, "backtest", "--symbols", "NIX-USDT", *SPAN, "--database") == 1


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--symbols", "NIX-USDT", *SPAN), 1, "There is no verdict of NIX-USDT_1h from 2026-09-01T00:00:00Z"),
        (("--symbols", "ALFA-USDT", *SPAN, "--timeframe", "4h"), 1, "There is no verdict of ALFA-USDT_4h"),
        (("--symbols", "ALFA-USDT", "--start", "2026-09-01", "--end", "2026-09-02"), 2, "has no offset"),
        (("--symbols", "ALFA-USDT", "--start", "then", "--end", "2026-09-02T00:00:00Z"), 2, "'then' is not a time"),
        (("--symbols", "ALFA-USDT", "--start", SPAN[3], "--end", SPAN[1]), 2, "No hour starts from"),
        (("--symbols", "!!", *SPAN), 2, "'!!' is not a symbol"),
        (("--symbols", ",", *SPAN), 2, "No symbol is named"),
        (("--symbols", "ALFA-USDT", *SPAN, "--timeframe", "6h"), 2, "'6h' is not a timeframe"),
        (("--symbols", "ALFA-USDT", *SPAN, "--database", "--snapshots", "x"), 2, "exclude each other"),
    ],
)
def test_refusals_are_sentences_and_write_nothing(
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    assert regime(monkeypatch, "backtest", *options, "--output", str(output)) == code

    said = capsys.readouterr().err
    assert says in words(said)
    assert "Traceback" not in said
    assert not output.exists()


def test_an_output_that_cannot_be_a_folder(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", "utf-8")

    assert regime(monkeypatch, *WHOLE, "--output", str(tmp_path / "file")) == 2
    assert "cannot be written to" in words(capsys.readouterr().err)
