"""The command line as a user calls it, for tests."""

from __future__ import annotations

import sys

import pytest

from regime_pipeline.cli.app import main


def regime(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `regime WORDS…` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["regime", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)
