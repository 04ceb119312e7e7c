"""What the pages point at exists: links, anchors, files, modules, settings; prose keeps to 120 columns. All offline.

See `test_tutorial` and `storage/lake/test_readers` for pages whose code runs.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regime_pipeline.settings import Settings
from regime_pipeline_tests.conftest import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), REPOSITORY / "docker" / "README.md"])
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_GENERATED = re.compile(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", re.DOTALL)
LIVING = [page for page in PAGES if page.parent.name != "decisions"]
"""Decisions are history: they may name what has moved since."""
WRITTEN_BY_HAND = [page for page in LIVING if page.name not in {"accuracy.md", "cli.md", "restart-gates.md"}]
SOURCES = sorted(
    path
    for folder in ("regime_pipeline", "regime_pipeline_tests", "benchmarks", "docker")
    for path in (REPOSITORY / folder).rglob("*")
    if path.suffix in {".py", ".toml", ".yaml", ".sql", ".js"} and path != Path(__file__)
)


def links(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text("utf-8"))
    found = (first or second for first, second in _LINK.findall(text))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#{1,6} +(.+?)\s*$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()) for heading in headings)
    return {text.replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_is_listed_in_the_index() -> None:
    index = set(links(REPOSITORY / "docs" / "README.md"))
    assert {page.name for page in (REPOSITORY / "docs").glob("*.md")} - {"README.md"} <= index


def test_text_names_no_page_that_is_not_there() -> None:
    named = {
        (name, path)
        for path in [*LIVING, *SOURCES, REPOSITORY / "Makefile", REPOSITORY / "markets.toml"]
        for name in re.findall(r"(?<![\w/])docs/[\w/-]+\.(?:md|json)\b", path.read_text("utf-8"))
    }
    assert len(named) > 20
    assert [(name, str(path)) for name, path in sorted(named) if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize("page", LIVING, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_modules_and_folders_of_the_package_exist_under_the_names_that_pages_use(page: Path) -> None:
    text = page.read_text("utf-8")
    files = re.findall(r"\b((?:regime_pipeline|regime_pipeline_tests|benchmarks)/[\w./]*\w)", text)
    tests = re.findall(r"`((?:\w+/)*test_\w+\.py)`", text)
    modules = re.findall(r"(?:from|-m) ((?:regime_pipeline|regime_pipeline_tests|benchmarks)[\w.]*\w)", text)

    missing = [name for name in files if not (REPOSITORY / name).exists()]
    missing += [name for name in tests if not (REPOSITORY / "regime_pipeline_tests" / name).exists()]
    missing += [name for name in modules if not _is_module(name)]
    assert missing == []


def _is_module(name: str) -> bool:
    path = REPOSITORY.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


@pytest.mark.parametrize("page", WRITTEN_BY_HAND, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_prose_keeps_to_120_columns(page: Path) -> None:
    prose = re.sub(r"^ *```.*?^ *```", "", _GENERATED.sub("", page.read_text("utf-8")), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_the_settings_page_names_every_setting() -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text("utf-8")
    assert set(re.findall(r"`(REGIME_\w+)`", page)) == {f"REGIME_{name.upper()}" for name in Settings.model_fields}


def test_no_table_cell_is_a_list_of_links() -> None:
    crowded = [
        f"{page.name}: {cell[:60]}"
        for page in LIVING
        for line in page.read_text("utf-8").splitlines()
        if line.startswith("|")
        for cell in line.split("|")
        if cell.count("](") > 5
    ]
    assert crowded == []


def test_every_command_that_pages_name_is_in_the_reference() -> None:
    reference = (REPOSITORY / "docs" / "cli.md").read_text("utf-8")
    commands = {tuple(heading.split()) for heading in re.findall(r"^## regime (.+)$", reference, re.MULTILINE)}
    groups = {command[0] for command in commands if len(command) > 1}
    named = {
        (page.name, words)
        for page in WRITTEN_BY_HAND
        for words in re.findall(
            r"(?:`|^)regime ([a-z][\w-]*)(?: ([a-z][\w-]*))?", page.read_text("utf-8"), re.MULTILINE
        )
    }
    assert len(named) > 30
    wrong = {(page, words) for page, words in named if words[:1] not in commands}
    wrong |= {(page, words) for page, words in named if words[0] in groups and words[1] and words not in commands}
    assert wrong == set()
