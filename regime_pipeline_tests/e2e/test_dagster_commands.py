"""Dagster's own commands work in a fresh clone, and the definitions are the ones that were reviewed.

After a wanted change: `python -m regime_pipeline_tests.e2e.test_dagster_commands` writes the golden file again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).with_name("definitions.golden.json")
BIN = Path(sys.executable).parent


def run(*command: str) -> str:
    """Run a command of the environment in the repository, as a newcomer would: no settings, no instance."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("REGIME_", "DAGSTER_", "PYTEST_", "COV_"))}
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=REPOSITORY, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listed_definitions() -> dict[str, Any]:
    """Assets, checks, jobs and resources by name, without line numbers."""
    found = json.loads(run("dg", "list", "defs", "--json"))
    for name, group in found.items():
        for entry in group:
            entry.pop("source", None)
        found[name] = sorted(group, key=json.dumps)
    return dict(found)


def test_dg_checks_pass() -> None:
    assert "All TOML configuration files are valid" in run("dg", "check", "toml")
    assert "All definitions loaded successfully" in run("dg", "check", "defs")


def test_the_workspace_file_loads() -> None:
    run("dagster", "definitions", "validate", "-w", "workspace.yaml")


def test_the_definitions_are_the_reviewed_ones() -> None:
    assert listed_definitions() == json.loads(GOLDEN.read_text("utf-8"))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(listed_definitions(), indent=1, sort_keys=True) + "\n", "utf-8")
