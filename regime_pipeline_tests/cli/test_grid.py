"""Tests of `regime grid`: from the first version to a bot's format, and every refusal in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.services.grids import proposed_fields, stop_grid, update_grid
from regime_pipeline.settings import Settings
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.cli.test_doctor import MARKETS

pytestmark = pytest.mark.slow


def open_project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (home / "markets.toml").write_text(MARKETS, "utf-8")
    monkeypatch.setenv("REGIME_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    return home


@contextmanager
def kept_running(home: Path) -> Iterator[Path]:
    """A home whose server runs on between commands, which would start and stop it each time."""
    server = EmbeddedServer(home)
    server.attach()
    yield home
    server.release()


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with kept_running(home):
        yield open_project(home, monkeypatch)


@pytest.fixture(scope="module")
def empty_home(module_home: Path) -> Iterator[Path]:
    with kept_running(module_home):
        yield module_home


@pytest.fixture
def empty_project(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return open_project(empty_home, monkeypatch)


def test_a_grid_from_its_first_version_to_its_advice(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "grid", "list") == 1
    assert "No grid is configured" in capsys.readouterr().err
    assert regime(monkeypatch, "grid", "set", "ALFA-USDT", "--why", "try") == 1
    assert "No candle of ALFA-USDT is stored" in capsys.readouterr().err
    assert regime(monkeypatch, "backfill") == 0

    assert regime(monkeypatch, "grid", "set", "alfausdt", "levels=6", "--why", "try it", "--who", "ada") == 0
    assert "Stored the grid of ALFA-USDT, version 1" in capsys.readouterr().out
    update = ("grid", "set", "ALFA-USDT", "enabled=true", "limit_upper=none", "--on-version", "1", "--why", "go")
    assert regime(monkeypatch, *update) == 0
    assert regime(monkeypatch, *update) == 2
    assert "version 2 is the newest" in " ".join(capsys.readouterr().err.split())

    assert regime(monkeypatch, "grid", "show", "ALFA-USDT") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["levels"], shown["enabled"], "limit_upper" in shown) == (2, 6, True, False)
    assert regime(monkeypatch, "grid", "show", "ALFA-USDT", "--version", "1") == 0
    assert json.loads(capsys.readouterr().out)["who"] == "ada"
    assert regime(monkeypatch, "grid", "show", "ALFA-USDT", "--version", "9") == 2
    assert regime(monkeypatch, "grid", "history", "ALFA-USDT") == 0
    listed = capsys.readouterr().out
    assert "try it" in listed
    assert "enabled" in listed

    file = tmp_path / "grids.toml"
    assert regime(monkeypatch, "grid", "export", "--output", str(file)) == 0
    assert regime(monkeypatch, "grid", "import", str(file)) == 0
    assert "ALFA-USDT: 0 versions stored, 2 known." in capsys.readouterr().out
    for form, field in (
        ("json", "grids"),
        ("hummingbot", "trading_pair"),
        ("3commas", "pair"),
        ("freqtrade", "entry_prices"),
    ):
        assert regime(monkeypatch, "grid", "export", "ALFA-USDT", "--format", form) == 0
        assert field in capsys.readouterr().out

    assert regime(monkeypatch, "backfill") == 0
    capsys.readouterr()
    assert regime(monkeypatch, "grid", "advice", "ALFA-USDT_1h") == 0
    assert "ALFA-USDT_1h 2026-09-01T02:00:00Z: NONE (NO_GRID)" in capsys.readouterr().out
    assert regime(monkeypatch, "grid", "list") == 0

    assert regime(monkeypatch, "gates", "check", "ALFA-USDT_1h", "--drawdown", "1e9", "--stop") == 3
    assert "STOP drawdown in quote currency" in " ".join(capsys.readouterr().out.split())
    assert regime(monkeypatch, "gates", "stop", "ALFA-USDT", "--why", "news", "--who", "ada") == 0
    assert "Stopped the grid of ALFA-USDT" in capsys.readouterr().out
    assert regime(monkeypatch, "gates", "show", "ALFA-USDT_1h") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "ALFA-USDT_1h: GATE_1 Stopped" in shown
    assert "by ada (MANUAL): news; no hour has closed since then" in shown
    assert regime(monkeypatch, "grid", "log", "ALFA-USDT", "--since", "2026-09-01") == 0
    assert "MANUAL (ada: news)" in capsys.readouterr().out
    assert regime(monkeypatch, "grid", "log", "ALFA-USDT", "--since", "-1w", "--until", "-6d") == 0
    assert "Nothing happened to the grid of ALFA-USDT" in capsys.readouterr().out
    assert regime(monkeypatch, "grid", "log", "ALFA-USDT", "--since", "2026-09-01", "--format", "csv") == 0
    assert capsys.readouterr().out.startswith("time,kind,text,who,why")
    assert regime(monkeypatch, "gates", "log", "ALFA-USDT_1h", "--hours", "2") == 0
    assert "2026-09-01 02:00" in capsys.readouterr().out


def test_the_gates_of_a_stop_are_shown_with_every_condition(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "backfill") == 0
    with open_workspace(Settings()) as opened:
        first = opened.universe.start_ms
        workspace = replace(opened, clock=lambda: first + 1)
        fields = proposed_fields(workspace, "ALFA-USDT")
        update_grid(workspace, "ALFA-USDT", fields, expected_version=0, who="ada", why="first")
        stop_grid(replace(opened, clock=lambda: first + 2), "ALFA-USDT", who="ada", why="news")
    assert regime(monkeypatch, "backfill") == 0
    capsys.readouterr()

    assert regime(monkeypatch, "gates", "show", "ALFA-USDT_1h") == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "ALFA-USDT_1h: GATE_1" in said
    assert "by ada (MANUAL): news; its restart gates wait at gate 1 after 3 bars" in said
    assert said.count("gate 1 not met") == 3
    assert regime(monkeypatch, "gates", "log", "ALFA-USDT_1h") == 0
    assert "ADX_DECAY" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "ALFA-USDT"], 1, "ALFA-USDT has no grid"),
        (["show", "!!"], 2, "is not a symbol"),
        (["set", "ALFA-USDT", "levels", "--why", "x"], 2, "'levels' is not FIELD=VALUE"),
        (["import", "missing.toml"], 2, "missing.toml is not a TOML or JSON file"),
        (["advice", "ALFA-USDT_1h"], 1, "ALFA-USDT_1h has no advice yet"),
        (["gates", "log", "ALFA-USDT_1h"], 1, "ALFA-USDT_1h has no advice yet"),
    ],
)
def test_refusals_are_sentences(
    empty_project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    assert regime(monkeypatch, *(words if words[0] == "gates" else ["grid", *words])) == code
    assert said in " ".join(capsys.readouterr().err.split())
