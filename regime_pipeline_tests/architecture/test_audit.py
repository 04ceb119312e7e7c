"""`make audit` calls nothing clean that it did not look at; the network itself is left alone here."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from regime_pipeline_tests.architecture import audit

SOUND = {"name": "good", "version": "1.0", "vulns": []}
UNSOUND = {"name": "bad", "version": "0.1", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
SKIPPED = {"name": "strange", "skip_reason": "not found"}


def pins(*are_yanked: bool) -> dict[str, Any]:
    metadata = {"name": "thing", "version": "2.0"}
    return {"install": [{"metadata": metadata, "is_yanked": is_yanked} for is_yanked in are_yanked]}


@pytest.mark.parametrize(
    ("finding", "code", "sentence"),
    [
        (audit.withdrawn(pins(False, False)), audit.CLEAN, "none among 2 pins"),
        (audit.withdrawn(pins(False, True)), audit.FOUND, "thing 2.0"),
        (audit.withdrawn(None), audit.UNKNOWN, "NOT LOOKED UP"),
        (audit.vulnerable({"dependencies": [SOUND]}), audit.CLEAN, "none among 1 pins"),
        (
            audit.vulnerable({"dependencies": [SOUND, UNSOUND, SKIPPED]}),
            audit.FOUND,
            "bad 0.1: PYSEC-1, bad 0.1: PYSEC-2",
        ),
        (audit.vulnerable({"dependencies": [SOUND, SKIPPED]}), audit.UNKNOWN, "NOT LOOKED UP: strange"),
        (audit.vulnerable({"dependencies": [SKIPPED]}), audit.UNKNOWN, "cannot be reached"),
        (audit.vulnerable(None), audit.UNKNOWN, "cannot be reached"),
    ],
)
def test_what_was_not_looked_up_is_not_clean(finding: audit.Finding, code: int, sentence: str) -> None:
    assert finding[0] == code
    assert sentence in finding[1]


@pytest.mark.parametrize(
    ("options", "reports", "code"),
    [
        ([], (pins(False), {"dependencies": [SOUND]}), audit.CLEAN),
        ([], (pins(False), None), audit.UNKNOWN),
        (["--tolerant"], (pins(False), None), audit.CLEAN),
        (["--tolerant"], (pins(True), None), audit.FOUND),
        (["--tolerant"], (None, {"dependencies": [UNSOUND]}), audit.FOUND),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, options: list[str], reports: tuple[Any, Any], code: int) -> None:
    answers = iter(reports)
    monkeypatch.setattr(audit, "run", lambda *_: next(answers))
    monkeypatch.setattr(sys, "argv", ["audit", *options])
    assert audit.main() == code


def test_a_tool_that_is_not_there_or_fails_reports_nothing() -> None:
    assert audit.run("no_module_of_this_name") is None
    assert audit.run("json.tool", "--no-such-option") is None
