"""Words that the field does not use stay out of what people read: docs, docstrings, messages, pages, names of tests."""

from __future__ import annotations

import ast
import re
import subprocess
from bisect import bisect
from itertools import accumulate
from typing import Final

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

BETTER: Final = {
    r"anew": "again; `rebuilt`, `recomputed`, `re-centred`: old-fashioned",
    r"betwixt": "between: old-fashioned",
    r"decided apart": "decided separately, or a separate decision: nothing is apart",
    r"for ever": "indefinitely, or without limit: a program has limits to name",
    r"hence": "so: old-fashioned",
    r"lest": "so that ... not: old-fashioned",
    r"listened on": "bound (an address), in use or not free (a port): a reader searches for these",
    r"naught|nought": "nothing, or 0: old-fashioned",
    r"rivals?": "baseline, peer, competing (method, verdict, writer): the evaluation's own terms",
    r"(?:stands?|stood|standing) in(?! for\b)": "is in, see: text and numbers do not stand",
    r"told": "notified, reported, asked (to stop), given, known: programs and rows are not told",
    r"unto": "to: old-fashioned",
    r"upon": "on: old-fashioned",
    r"vouch\w*": "confirm, cover: a source covers a span, or confirms that a candle does not exist",
    r"whence": "from where: old-fashioned",
    r"witness(?:es)?": "indicator (of a score), method (of a range): what it is called elsewhere",
    r"(?<!there )is no\b(?! (?:longer|more|one|such)\b)": "is not a: `It is no file` is not English",
}
"""Words of the first version's English, whole and in any case: what to write instead, and why."""
FOUND: Final = re.compile(rf"\b(?:{'|'.join(BETTER)})\b", re.IGNORECASE)
BROKEN: Final = re.compile(r"""[ \t]*["']?[ \t]*\n\s*(?:[rbf]?["']|\#+\s|//\s|--\s|\*\s|>\s)?\s*""")
"""A line's end within a sentence: of prose, of a string in parts, of a comment."""
READ: Final = (".css", ".html", ".js", ".json", ".md", ".py", ".sh", ".sql", ".toml", ".yaml", ".yml")
TEXTS: Final = ("regime_pipeline", "benchmarks", "docs", "docker", "README.md", "CHANGELOG.md")
TESTS: Final = ("regime_pipeline_tests",)


def words_of(text: str) -> list[tuple[int, str]]:
    """Line number and words of everything that is found, wherever the lines are broken."""
    parts = BROKEN.split(text)
    lines = list(accumulate((each.group().count("\n") for each in BROKEN.finditer(text)), initial=1))
    starts = list(accumulate((len(part) + 1 for part in parts), initial=0))
    return [(lines[bisect(starts, each.start()) - 1], each.group()) for each in FOUND.finditer(" ".join(parts))]


def better(words: str) -> str:
    """What to write instead of words that were found, and why."""
    return next(advice for pattern, advice in BETTER.items() if re.fullmatch(pattern, words, re.IGNORECASE))


def names_and_docstrings(source: str) -> str:
    """What a reader of the tests' report sees, and their docstrings."""
    return "\n\n".join(
        f"{getattr(node, 'name', '').replace('_', ' ')}.\n\n{ast.get_docstring(node) or ''}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    )


def texts_of(*places: str) -> dict[str, str]:
    listed = subprocess.run(["git", "ls-files", *places], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return {
        name: (REPOSITORY / name).read_text("utf-8")
        for name in listed.stdout.split()
        if name.endswith(READ) and (REPOSITORY / name).exists()
    }


def test_no_text_uses_a_word_that_the_field_does_not() -> None:
    texts = texts_of(*TEXTS)

    assert len(texts) > 300
    found = [
        f"{name} line {line}: {words!r}. Better: {better(words)}."
        for name, text in texts.items()
        for line, words in words_of(text)
    ]
    assert found == []


def test_no_name_or_docstring_of_a_test_uses_one() -> None:
    sources = {name: text for name, text in texts_of(*TESTS).items() if name.endswith(".py")}

    assert len(sources) > 200
    found = [
        f"{name}: {words!r}. Better: {better(words)}."
        for name, text in sources.items()
        for _, words in words_of(names_and_docstrings(text))
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "Whence it came.",
        "a.csv is no TOML file",
        "Made anew.",
        "2 of 3 witnesses",
        "its rivals",
        "It stands\nin the table.",
        "# It cannot be listened\n    # on.",
        "x = (\n    'It waits for '\n    f'ever.'\n)",
        "The source is told.",
        "what the source vouched for",
        "<p>for\n  ever</p>",
    ],
)
def test_such_words_are_found(text: str) -> None:
    assert len(words_of(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["There is no file.", "It is no longer there.", "It is not a file.", "It stands in for another.", "for everybody"],
)
def test_plain_sentences_pass(text: str) -> None:
    assert words_of(text) == []


def test_a_word_is_found_at_its_line_with_a_better_one() -> None:
    found = words_of("One.\n\nIt stands\nin a table,\nmade anew. It is no table.")

    assert found == [(3, "stands in"), (5, "anew"), (5, "is no")]
    assert [better(words).split()[0] for _, words in found] == ["is", "again;", "is"]


def test_names_and_docstrings_are_what_is_read_of_a_test() -> None:
    source = 'def test_all_stand_in_rows():\n    """Told."""\n    told = 1\n'

    assert [words for _, words in words_of(names_and_docstrings(source))] == ["stand in", "Told"]
