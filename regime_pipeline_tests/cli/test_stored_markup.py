"""Text that users stored is printed as it is: no markup in it is obeyed, and none breaks a command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import out
from regime_pipeline.services.grids import proposed_fields, stop_grid, update_grid
from regime_pipeline.settings import Settings
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.cli.test_grid import kept_running, open_project

HOSTILE = "range [/0] broke [bold red]x[/] [link=http://evil.example]y[/link]"


@pytest.fixture
def planted(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home whose every free text holds markup."""
    with kept_running(home):
        open_project(home, monkeypatch)
        assert regime(monkeypatch, "backfill") == 0
        with open_workspace(Settings()) as workspace:
            fields = proposed_fields(workspace, "ALFA-USDT")
            update_grid(workspace, "ALFA-USDT", fields, expected_version=0, who=HOSTILE[:30], why=HOSTILE)
            stop_grid(workspace, "ALFA-USDT", who=HOSTILE[:30], why=HOSTILE)
        assert regime(monkeypatch, "keys", "create", "[/oops]") == 0
        yield


def test_every_command_that_shows_stored_text_shows_it_as_it_is(
    planted: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, size in (("_width", 400), ("_height", 50)):  # COLUMNS is read when the console is made, once a process
        monkeypatch.setattr(out, name, size)
    shown = {
        ("keys", "list"): "[/oops]",
        ("grid", "list"): HOSTILE,
        ("grid", "history", "ALFA-USDT"): HOSTILE,
        ("grid", "show", "ALFA-USDT"): HOSTILE,
        ("doctor",): "",
    }
    for words, text in shown.items():
        capsys.readouterr()
        assert regime(monkeypatch, *words) in (0, 3)
        assert text in capsys.readouterr().out.replace("\n", " ")
    assert regime(monkeypatch, "grid", "advice", "[/x]") == 2
    assert "[/x]" in capsys.readouterr().err
