"""NumPy's set operations hash every value: on times, which are in order, only `sorted_times` may stand for them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "regime_pipeline"
ALWAYS = {"union1d", "setdiff1d", "setxor1d", "intersect1d", "in1d", "unique_values"}
ON_TIMES = {"unique", "isin"}
"""These two are fine on codes and numbers of runs."""
TIME = re.compile(r"time|hour|_ms\b|_at\b|bars|calendar|opens?\b|closes?\b", re.IGNORECASE)
SORTING = {"return_inverse", "return_index", "return_counts"}
"""With one of these NumPy sorts."""


def offences(source: str) -> list[str]:
    """Calls of NumPy's set operations that hash times, as they are written."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if _hashes_times(call)]


def _hashes_times(call: ast.Call) -> bool:
    if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in {"np", "numpy"}):
        return False
    if call.func.attr in ALWAYS:
        return True
    sorts = bool(SORTING & {str(keyword.arg) for keyword in call.keywords})
    return call.func.attr in ON_TIMES and not sorts and any(TIME.search(ast.unparse(given)) for given in call.args)


def test_no_times_are_hashed() -> None:
    found = {
        str(path.relative_to(REPOSITORY)): calls
        for path in sorted(PACKAGE.rglob("*.py"))
        if (calls := offences(path.read_text("utf-8")))
    }

    assert found == {}, "use domain.market_data.sorted_times"


def test_set_operations_are_not_imported_by_name() -> None:
    by_name = re.compile(rf"^from numpy import .*\b({'|'.join(ALWAYS | ON_TIMES)})\b", re.MULTILINE)

    assert not [path for path in PACKAGE.rglob("*.py") if by_name.search(Path(path).read_text("utf-8"))]


@pytest.mark.parametrize(
    "call", ["np.isin(hours, table['hour_start'])", "np.unique(hour_of_close(market, opens))", "np.union1d(a, b)"]
)
def test_times_are_recognised(call: str) -> None:
    assert offences(f"found = {call}") == [ast.unparse(ast.parse(call).body[0])]


@pytest.mark.parametrize(
    "call", ["np.unique(bins)", "np.isin(verdict, codes)", "np.unique(hours, return_inverse=True)"]
)
def test_codes_may_be_hashed(call: str) -> None:
    assert offences(call) == []
