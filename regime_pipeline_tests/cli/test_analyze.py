"""Tests of `regime analyze`, `analyze-range` and `explain`: on a folder of snapshots, with no database at all."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from regime_pipeline.cli import analyze
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.json_records import records
from regime_pipeline.services.queries.verdicts import verdict_series
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.served_home import ETH, WINDOW, hour


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGIME_DATABASE_URL", "postgresql://127.0.0.1:1/none")


@pytest.fixture
def row(served: Workspace) -> dict[str, object]:
    return records(verdict_series(served, ETH, WINDOW).frame)[400]


def test_json_is_the_row_of_the_table(
    served: Workspace, row: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--snapshots", served.snapshots.root, "--format", "json")
    assert regime(monkeypatch, "analyze", "ETHUSDT", to_iso(hour(400) + 60_000), *options) == 0
    found = json.loads(capsys.readouterr().out)

    assert found.pop("market") == "ETH-USDT_1h"
    assert found == {name: value for name, value in row.items() if name != "hour_start"}


def test_the_table_explains_in_sentences(
    served: Workspace, row: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for command in ("analyze", "explain"):
        assert regime(monkeypatch, command, "ETH-USDT", to_iso(hour(400)), "--snapshots", served.snapshots.root) == 0
        texts.append(capsys.readouterr().out)

    assert texts[0] == texts[1]
    assert f"ETH-USDT_1h {row['open_time']}: {row['verdict']}" in texts[0]
    for factor in row["factors"]:  # type: ignore[attr-defined]
        assert factor["sentence"] in texts[0]
    assert "range_quality" in texts[0]


def test_an_hour_with_too_little_data_says_so(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "explain", "ETH-USDT", to_iso(hour(3)), "--snapshots", served.snapshots.root) == 0
    text = capsys.readouterr().out
    assert "INSUFFICIENT_DATA" in text
    assert "  range " not in text
    assert "trend -" in text


def test_a_range_in_every_form(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    span = ("--start", to_iso(hour(398)), "--end", to_iso(hour(401)), "--snapshots", served.snapshots.root)
    rows = records(verdict_series(served, ETH, WINDOW).frame)[398:401]

    assert regime(monkeypatch, "analyze-range", "ETH-USDT", *span) == 0
    table = capsys.readouterr().out
    assert regime(monkeypatch, "analyze-range", "ETH-USDT", *span, "--format", "json") == 0
    as_json = json.loads(capsys.readouterr().out)
    assert regime(monkeypatch, "analyze-range", "ETH-USDT,ETH-USDT", *span, "--format", "csv") == 0
    as_csv = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    file = tmp_path / "rows.parquet"
    assert regime(monkeypatch, "analyze-range", "ETH-USDT", *span, "--format", "parquet", "--output", str(file)) == 0

    assert "3 hours" in table
    assert all(str(row["verdict"]) in table for row in rows)
    head = {"symbol": "ETH-USDT", "timeframe": "1h"}
    assert as_json == [{**head, **row} for row in rows]
    assert len(as_csv) == 6
    assert [line["hour_start"] for line in as_csv[:3]] == [row["hour_start"] for row in rows]
    assert [json.loads(line["factors"]) for line in as_csv[:3]] == [row["factors"] for row in rows]
    assert [float(line["confidence"]) for line in as_csv[:3]] == [row["confidence"] for row in rows]
    assert pd.read_parquet(file)["verdict"].tolist() == [row["verdict"] for row in rows]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("analyze", "ETH-USDT", "2030-01-01T00:00:00Z"), 1, "no snapshot of ETH-USDT_1h"),
        (("analyze", "ETH-USDT", "yesterday"), 2, "is not a time. Write now, -6h"),
        (("analyze", "NOPE", "2026-09-02T00:00:00Z"), 2, "is not a symbol"),
        (("analyze", "ETH-USDT", "2026-09-10T00:00:00Z", "--format", "parquet"), 2, "Parquet is binary"),
        (("analyze", "ETH-USDT", "2026-09-10T00:00:00Z", "--output", "x.txt"), 2, "A table is for the terminal"),
        (
            ("analyze", "ETH-USDT", "2026-09-10T00:00:00Z", "--format", "json", "--output", "/nowhere/x.json"),
            2,
            "cannot be written",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    served: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    assert regime(monkeypatch, *words, "--snapshots", served.snapshots.root) == code
    assert says in capsys.readouterr().err


def test_one_hour_as_csv(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--snapshots", served.snapshots.root, "--format", "csv")
    assert regime(monkeypatch, "analyze", "ETH-USDT", to_iso(hour(400)), *options) == 0
    (line,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert line["verdict"]


def test_a_market_and_a_moment_are_taken_in_every_form(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`latest`, so long ago, a time without an offset; a market with its timeframe, or a symbol and the option."""
    newest = hour(len(WINDOW) - 1)
    monkeypatch.setattr(analyze, "system_clock", lambda: newest + HOUR_MS)
    place = ("--snapshots", served.snapshots.root)
    texts = []
    for market in (("ETH-USDT_1h",), ("ETHUSDT",), ("ETH-USDT", "--timeframe", "1h")):
        for moment in ("latest", "-1h", "-60m", to_iso(newest).removesuffix("Z")):
            name, *options = market
            assert regime(monkeypatch, "explain", name, moment, *options, *place) == 0, (market, moment)
            texts.append(capsys.readouterr().out)
    assert set(texts) == {texts[0]}
    assert f"ETH-USDT_1h {to_iso(newest)}" in texts[0]

    assert regime(monkeypatch, "explain", "ETH-USDT_1h", "latest", "--timeframe", "4h", *place) == 2
    assert "ETH-USDT_1h is not on 4h" in capsys.readouterr().err
    assert regime(monkeypatch, "explain", "DOGE-USDT", "latest", *place) == 1
    assert "There is no snapshot of DOGE-USDT_1h" in capsys.readouterr().err
    assert regime(monkeypatch, "analyze", "ETH-USDT_1h", "latest", "--unknown", *place) == 2
    capsys.readouterr()
    assert regime(monkeypatch, "analyze-range", "ETH-USDT", "--start", "-3h", *place, "--format", "csv") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 3
