"""Documents within limits: what would exhaust a parser is refused in words, at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regime_pipeline._bounded_io import MAX_BYTES, parse_toml, read_document, shallow
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.config import GridConfigError
from regime_pipeline.domain.grids.formats import from_json, from_toml
from regime_pipeline.policy import PolicyError, load_policy
from regime_pipeline.services.grid_files import read_histories
from regime_pipeline.services.universe import load_universe

FATAL = {
    "depth": ("a = " + "[" * 50_000, "nested too deeply"),
    "deep key": (".".join("a" * 200_000) + " = 1", "a key has more than 32 parts"),
    "quoted deep key": (" . ".join(['"a.b"'] * 40) + " = 1", "a key has more than 32 parts"),
    "hexadecimal": ("schema_version = 0x" + "f" * 5_000, "a number has more than 1,024 digits"),
    "decimal": ("schema_version = " + "9" * 5_000, "Exceeds the limit"),
    "no TOML": ("= 1", "Invalid"),
}


@pytest.mark.parametrize("name", FATAL)
def test_what_would_exhaust_a_parser_is_refused(name: str, tmp_path: Path) -> None:
    text, reason = FATAL[name]
    file = tmp_path / "a.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=reason):
        parse_toml(text)
    with pytest.raises(PolicyError, match=reason):
        load_policy(file)
    with pytest.raises(UsageError, match=reason):
        load_universe(file)
    with pytest.raises(GridConfigError, match=reason):
        from_toml(text)


def test_deep_json_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        shallow(json.loads, "[" * 100_000)
    with pytest.raises(GridConfigError, match="nested too deeply"):
        from_json("[" * 100_000)


def test_half_a_character_is_refused() -> None:
    """It used to end in pydantic's own exception."""
    with pytest.raises(GridConfigError, match="surrogates not allowed"):
        from_json('{"schema_version": 1, "grids": [{"symbol": "\\ud800"}]}')


@pytest.mark.parametrize(("data", "reason"), [(b"#" * (MAX_BYTES + 1), "larger than 1,024 KiB"), (b"\xff", "utf-8")])
def test_large_and_foreign_files_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=reason):
        read_document(file)
    for read, refusal in ((load_policy, PolicyError), (load_universe, UsageError), (read_histories, UsageError)):
        with pytest.raises(refusal, match=reason):
            read(file)


def test_ordinary_texts_pass() -> None:
    text = 'reason = "tx 0x' + "ab" * 32 + ' ... e.g. v1.2.3"\n[a.b.c]\nx = [' + "1.5, " * 100 + "]\n"
    assert parse_toml(text)["a"]["b"]["c"]["x"] == [1.5] * 100
