"""Words that the field does not use stay out of what people read: docs, docstrings, messages and pages."""

from __future__ import annotations

import re
import subprocess

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

DIALECT = (
    "anew",
    "betwixt",
    "decided apart",
    "hence",
    "lest",
    "naught",
    "nought",
    "unto",
    "upon",
    "whence",
    "witness(?:es)?",
)
"""Words of the first version's English; whole words, in any case."""
IS_NO = r"(?<!there )is no (?!longer\b|more\b|one\b|such\b)"
"""`It is no file` for `it is not a file`; `there is no file` is English."""
FOUND = re.compile(rf"\b(?:{'|'.join(DIALECT)})\b|\b{IS_NO}", re.IGNORECASE)
READ = (".md", ".py", ".html", ".js", ".sql", ".toml", ".yaml")
TEXTS = ("regime_pipeline", "docs", "docker", "README.md", ":!docs/decisions")


def test_no_text_uses_a_word_that_the_field_does_not() -> None:
    listed = subprocess.run(["git", "ls-files", *TEXTS], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split() if name.endswith(READ)]
    found = []
    for name in names:
        for number, line in enumerate((REPOSITORY / name).read_text("utf-8").splitlines(), 1):
            if word := FOUND.search(line):
                found.append(f"{name} line {number}: {word.group()}")
    assert len(names) > 300
    assert found == []


@pytest.mark.parametrize("line", ["Whence it came.", "a.csv is no TOML file", "Made anew.", "2 of 3 witnesses"])
def test_such_words_are_found(line: str) -> None:
    assert FOUND.search(line)


@pytest.mark.parametrize("line", ["There is no file.", "It is no longer there.", "It is not a file."])
def test_plain_sentences_pass(line: str) -> None:
    assert not FOUND.search(line)
