"""Small files, small functions, a charter at the top of each: the house rules that no linter checks."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "regime_pipeline"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
GENERATED = "migrations/versions"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if GENERATED not in path.as_posix())


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    total = (node.end_lineno or 0) - node.lineno + 1
    has_docstring = ast.get_docstring(node) is not None
    first = node.body[0]
    return total - ((first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_is_small_and_says_what_belongs_in_it(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)

    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= MAX_FILE_LINES
    long = [f"{node.name}: {length_without_docstring(node)}" for node in functions(tree)]
    assert [name for name in long if int(name.rpartition(" ")[2]) > MAX_FUNCTION_LINES] == []
