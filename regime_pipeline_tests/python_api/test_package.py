"""Tests of the package's own names: loaded on first use, all of them, and nothing before."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import regime_pipeline as rp


def test_every_name_is_there_and_listed() -> None:
    for name in rp.__all__:
        assert getattr(rp, name).__name__ == name
        assert name in dir(rp)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rp.nothing  # noqa: B018


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import sys, regime_pipeline; print([n for n in ('numpy', 'pandas', 'pydantic', 'numba') if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("library", "absent"), [("dagster", "RegimeChain"), ("psycopg", "RegimeStorage")])
def test_what_an_extra_would_bring_is_not_offered_without_it(
    monkeypatch: pytest.MonkeyPatch, library: str, absent: str
) -> None:
    """`dg` loads every name of `dir`: one that cannot be loaded would break it for the whole environment."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == library else find(name))

    assert absent not in dir(rp)
    assert {"verdicts", "join"} <= set(dir(rp))
