"""What an installation without an extra says: the sentence that names it, never a traceback."""

from __future__ import annotations

import pytest

import regime_pipeline
from regime_pipeline.cli import app as command_line
from regime_pipeline_tests.cli.fixtures import regime


def raising(name: str) -> object:
    def load(_: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return load


@pytest.mark.parametrize(
    ("missing", "extra"), [("dagster", "pipeline"), ("psycopg.sql", "pipeline"), ("fastapi", "api"), ("uvicorn", "api")]
)
def test_a_command_names_the_extra_that_it_lacks(
    missing: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "load_command", raising(missing))

    assert regime(monkeypatch, "demo") == 2

    package = missing.partition(".")[0]
    assert " ".join(capsys.readouterr().err.split()) == (
        f"Error: This command needs {package}, which is not installed. Run pip install 'regime-pipeline[{extra}]'."
    )


def test_a_module_of_our_own_that_is_missing_is_a_fault_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "load_command", raising("regime_pipeline.nowhere"))
    monkeypatch.setattr("sys.argv", ["regime", "demo"])

    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        command_line.main()


@pytest.mark.parametrize(("missing", "says"), [("psycopg", r"regime-pipeline\[database\]"), ("regime_pipeline.x", "x")])
def test_a_name_of_the_python_api_does_too(missing: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regime_pipeline, "import_module", raising(missing))

    with pytest.raises(ModuleNotFoundError, match=says):
        _ = regime_pipeline.RegimeStorage
