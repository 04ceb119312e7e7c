"""Where tests stand: beside what they test, with a docstring, and never in an import circle with the benchmarks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from regime_pipeline_tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "regime_pipeline"
TESTS = REPOSITORY / "regime_pipeline_tests"
BENCHMARKS = REPOSITORY / "benchmarks"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py")))
SHARED_WITH_BENCHMARKS = (
    "regime_pipeline_tests.factories",
    "regime_pipeline_tests.pipeline.factories",
    "regime_pipeline_tests.reference",
    "regime_pipeline_tests.e2e.cluster",
    "regime_pipeline_tests.e2e.regime_up",
    "regime_pipeline_tests.exchange_simulator.exchange",
    "regime_pipeline_tests.exchange_simulator.server",
)
"""What benchmarks may import from the tests: naive implementations, factories, and whole systems."""
BY_REASON = {
    "api/test_documents.py": "the documents that are shipped beside the API",
    "api/test_n8n.py": "n8n asks a running API over HTTP",
    "cli/test_reference.py": "docs/cli.md is compared with the commands' help, run as processes",
    "python_api/test_package.py": "the names of the package itself",
}
"""Tests that neither share a module's name nor import from their room or its fixtures, and why they stand there."""


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Absolute names that a file imports, those of a `from` import with what is taken from the module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_every_module_of_tests_and_benchmarks_has_a_docstring() -> None:
    files = [*python_files(TESTS), *python_files(BENCHMARKS)]
    assert [name_of(path) for path in files if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def test_no_test_imports_a_benchmark() -> None:
    found = {
        name_of(path) for path in python_files(TESTS) for name in imports_of(path) if is_within(name, "benchmarks")
    }
    assert found == set()


def test_benchmarks_import_of_the_tests_only_what_is_shared() -> None:
    found = {
        f"{name_of(path)}: {name}"
        for path in python_files(BENCHMARKS)
        for name in imports_of(path)
        if is_within(name, "regime_pipeline_tests")
        and not any(is_within(name, shared) for shared in SHARED_WITH_BENCHMARKS)
    }
    assert found == set()


def is_beside_what_it_tests(path: Path) -> bool:
    """Whether the package has a module or folder of this test's name, or the test imports its room or its fixtures."""
    place = path.relative_to(TESTS)
    module = PACKAGE / place.parent / place.stem.removeprefix("test_")
    if module.is_dir() or module.with_suffix(".py").is_file():
        return True
    room = ".".join(place.parent.parts)
    rooms = (f"regime_pipeline.{room}", f"regime_pipeline_tests.{room}")
    return any(is_within(name, each) for name in imports_of(path) for each in rooms)


def test_tests_are_in_the_room_of_what_they_test() -> None:
    tests = [path for room in ROOMS for path in sorted((TESTS / room).rglob("test_*.py"))]
    assert len(tests) > 150
    misplaced = {path.relative_to(TESTS).as_posix() for path in tests if not is_beside_what_it_tests(path)}
    assert misplaced == BY_REASON.keys()
