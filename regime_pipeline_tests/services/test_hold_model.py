"""Tests of `services.hold_model`: the shipped numbers, and files that are none."""

from __future__ import annotations

import re
from dataclasses import astuple, replace
from pathlib import Path

import orjson
import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.services.hold_model import (
    HOLD_MODEL_PATH,
    default_hold_model,
    load_hold_model,
    save_hold_model,
)
from regime_pipeline_tests.conftest import REPOSITORY


def test_the_shipped_model_says_how_it_was_made_and_survives_a_round_trip(tmp_path: Path) -> None:
    content = orjson.loads(HOLD_MODEL_PATH.read_bytes())
    save_hold_model(tmp_path / "again.json", default_hold_model(), content["made_from"])

    assert (tmp_path / "again.json").read_bytes() == HOLD_MODEL_PATH.read_bytes()
    assert content["hash"] == default_hold_model().hash
    assert "evaluation.fit_hold" in content["made_by"]
    assert content["made_from"]["bands"] > 10_000


def test_the_documentation_states_the_shipped_numbers() -> None:
    text = (REPOSITORY / "docs" / "probabilities.md").read_text("utf-8")
    numbers = " | ".join(f"{value:.5f}".replace("0.", ".", 1) for value in astuple(default_hold_model()))

    assert f"| shipped (hash `{default_hold_model().hash}`) | {numbers} |" in text


def test_a_changed_coefficient_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    save_hold_model(path, replace(default_hold_model(), level=0.25), {})
    path.write_bytes(path.read_bytes().replace(b'"level": 0.25', b'"level": 0.26'))

    with pytest.raises(UsageError, match="not those of its hash"):
        load_hold_model(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"coefficients": {"level": 1}, "hash": ""}'])
def test_what_is_not_a_model_is_refused_with_the_command(tmp_path: Path, content: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(content)

    with pytest.raises(UsageError, match=re.escape("fit_hold FOLDER")):
        load_hold_model(path)
    with pytest.raises(UsageError, match="is not a hold model"):
        load_hold_model(tmp_path / "nowhere.json")
