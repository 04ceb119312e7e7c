"""Tests of `cli.app` and `cli.up`: what every command shares."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from regime_pipeline.cli.app import load_command
from regime_pipeline.cli.commands import COMMANDS as COMMAND_LIST
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


def test_a_home_beyond_ascii_works_where_the_locale_knows_ascii_alone(tmp_path: Path) -> None:
    home = tmp_path / "höme"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", "from regime_pipeline.cli.app import main; main()"]
    environment["REGIME_HOME"] = str(home)

    for words in (["init"], ["markets", "list"]):
        done = subprocess.run([*command, *words], env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    assert (home / "markets.toml").exists()
    assert "ALFA-USDT" in done.stdout.decode("utf-8")


def test_the_help_of_a_command_is_its_own_first_sentence() -> None:
    for name, entry in COMMAND_LIST.items():
        command = load_command(name)
        first = (command.help or "").split("\n\n")[0]
        assert " ".join(first.split()) == entry.help, name
        assert command.name == name


def test_the_help_imports_no_command_and_a_quick_command_no_dagster(tmp_path: Path) -> None:
    code = (
        "import sys; from regime_pipeline.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'dagster', 'numba', 'sqlalchemy', 'fastapi', 'pydantic'} & set(sys.modules)\n"
        "print('loaded', sorted(heavy))"
    )

    def loaded(*words: str) -> str:
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert loaded("--help") == "loaded []"
    assert loaded("--version") == "loaded []"
    assert "dagster" not in loaded("status", "--help")
    assert "dagster" not in loaded("grid", "--help")


def test_a_version_a_group_and_a_wrong_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"regime-pipeline {version('regime-pipeline')}\n"
    assert regime(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"\n{group}:\n") for group in ("Start here", "Operate", "Analyse", "Serve", "Maintain")]
    assert places == sorted(places)
    assert regime(monkeypatch, "statsu") == 2
    assert "Did you mean 'status'" in capsys.readouterr().err


def test_without_a_markets_file_a_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert regime(monkeypatch, "backfill") == 2

    assert " ".join(capsys.readouterr().err.split()) == (
        f"Error: There is no markets file at {tmp_path}/markets.toml. "
        "Write one with `regime init`, or set REGIME_MARKETS."
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

    environment = child_environment(settings, urls, "http://127.0.0.1:8090/")

    assert environment["DAGSTER_PG_URL"] == "postgresql+psycopg2:///dagster"
    assert environment["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert environment["REGIME_HOME"] == str(tmp_path)
    assert environment["REGIME_MARKETS"] == str(tmp_path / "m.toml")
    assert environment["DAGSTER_EVENT_BATCH_SIZE"] == "1000"
    assert environment["REGIME_DASHBOARD_URL"] == "http://127.0.0.1:8090/"
    assert "REGIME_DATABASE_URL" not in environment
    public = Settings(home=tmp_path, markets=tmp_path / "m.toml", dashboard_url="https://grids.example/")
    assert child_environment(public, urls, "http://127.0.0.1:8090/")["REGIME_DASHBOARD_URL"] == "https://grids.example/"
