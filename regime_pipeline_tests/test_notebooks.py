"""The notebooks of docs/notebooks run, cell by cell, and print what they show; pictures are drawn, not compared.

`python -m regime_pipeline_tests.test_notebooks` writes what they show into them.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from matplotlib.figure import Figure

from regime_pipeline.cli.serve import api_served
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.services.grids import import_history
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline_tests.conftest import REPOSITORY, fresh_database, temporary_homes
from regime_pipeline_tests.factories import START, hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.integration.test_operators_day import GRID, MARKET, Recorded, prices

pytestmark = pytest.mark.slow
FOLDER = REPOSITORY / "docs" / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
HOURS, ENABLED = 412, 395
DPI = 80


def shown(value: Any) -> dict[str, Any]:
    """What a notebook keeps of a cell's value."""
    if isinstance(value, Figure):
        picture = io.BytesIO()
        value.savefig(picture, format="png", dpi=DPI, metadata={"Software": None})
        return {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": "<Figure>"}
    with pd.option_context("display.width", 120, "display.max_columns", 12):
        plain = {"text/plain": repr(value)}
        return plain | ({"text/html": value.to_html()} if isinstance(value, pd.DataFrame) else {})


def outputs_of(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run a cell as notebooks do: statements, and the value of the last expression."""
    parsed = ast.parse(source)
    last = parsed.body.pop() if parsed.body and isinstance(parsed.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(parsed, "<cell>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue()})
    if value is not None:
        found.append({"data": shown(value), "execution_count": count, "metadata": {}, "output_type": "execute_result"})
    return found


def replay(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook, in place, with what its cells show now."""
    names: dict[str, Any] = {}
    for count, cell in enumerate((each for each in notebook["cells"] if each["cell_type"] == "code"), 1):
        cell |= {"execution_count": count, "outputs": outputs_of("".join(cell["source"]), names, count)}
    return notebook


def texts(notebook: dict[str, Any]) -> list[str]:
    """Everything that a notebook shows but pictures."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return ["".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in outputs]


@contextlib.contextmanager
def live_grid(database_url: str, folder: Path) -> Iterator[str]:
    """An API on a market whose price leaves its grid; yield its address."""
    now = START + HOURS * HOUR_MS
    source = Recorded(prices(HOURS), lambda: now)
    with simulated_workspace(database_url, folder, [MARKET], source=source, clock=lambda: now) as ws:
        live = replace(ws, universe=replace(ws.universe, end_ms=None))
        when = datetime.fromtimestamp((START + ENABLED * HOUR_MS) / 1000, UTC)
        known = {"version": 1, "supersedes": None, "valid_from": when, "reason": "it ranges", "who": "ada"}
        import_history(live, (GridConfig(**(GRID | known | {"enabled": True})),))
        run_stages(live, MARKET, [hours_from_start(0, HOURS)])
        with api_served(live, "127.0.0.1", 0) as url:
            yield url.rstrip("/")


@pytest.mark.postgres
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_what_it_says(
    name: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (FOLDER / name).read_bytes()

    with live_grid(database_url, tmp_path) as url:
        monkeypatch.setenv("REGIME_API", url)
        found = replay(orjson.loads(content))

    assert texts(found) == texts(orjson.loads(content))
    assert len(texts(found)) > 4


if __name__ == "__main__":
    with temporary_homes() as make, contextlib.ExitStack() as stack:
        server = EmbeddedServer(make())
        database = stack.enter_context(fresh_database(server.attach()))
        os.environ["REGIME_API"] = stack.enter_context(live_grid(database, make("snapshots")))
        for path in map(FOLDER.joinpath, NAMES):
            mended = replay(orjson.loads(path.read_bytes()))
            path.write_bytes(orjson.dumps(mended, option=orjson.OPT_INDENT_2) + b"\n")
