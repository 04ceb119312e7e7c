"""Tests of `cli.app` and `cli.up`: what every command shares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from regime_pipeline.cli.app import make_app
from regime_pipeline.cli.up import child_environment
from regime_pipeline.settings import Settings
from regime_pipeline.storage.databases import DatabaseUrls
from regime_pipeline_tests.cli.fixtures import regime

COMMANDS = ("demo", "up", "import", "backfill", "db")


def test_help_names_every_command(tmp_path: Path) -> None:
    """In a process of its own, as installed."""
    code = "from regime_pipeline.cli.app import main; main()"
    command = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_a_process_that_asks_for_many_command_lines_gets_each_command_once() -> None:
    first, second = (names(make_app("")) for _ in range(2))

    assert first == second == sorted(set(first))
    assert set(COMMANDS) < set(first)
    assert names(make_app("mcp")) == ["db", "mcp"]


def names(made: typer.Typer) -> list[str]:
    return sorted(str(info.name) for info in (*made.registered_commands, *made.registered_groups))


def test_without_a_markets_file_a_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert regime(monkeypatch, "backfill") == 2

    assert " ".join(capsys.readouterr().err.split()) == (
        f"Error: There is no markets file at {tmp_path}/markets.toml. Create it or set REGIME_MARKETS."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bad_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGIME_PARTITION", "week")

    assert regime(monkeypatch, "backfill") == 2

    said = capsys.readouterr().err
    assert "REGIME_PARTITION is 'week'" in said
    assert "Traceback" not in said


def test_dagsters_processes_get_the_instance_and_the_home_but_not_our_url(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, markets=tmp_path / "m.toml")
    urls = DatabaseUrls("postgresql:///regimes", "postgresql+psycopg2:///dagster", is_embedded=True)

    environment = child_environment(settings, urls)

    assert environment["DAGSTER_PG_URL"] == "postgresql+psycopg2:///dagster"
    assert environment["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert environment["REGIME_HOME"] == str(tmp_path)
    assert environment["REGIME_MARKETS"] == str(tmp_path / "m.toml")
    assert environment["DAGSTER_EVENT_BATCH_SIZE"] == "1000"
    assert "REGIME_DATABASE_URL" not in environment
