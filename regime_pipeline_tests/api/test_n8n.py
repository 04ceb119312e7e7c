"""The shipped workflow, imported and executed by n8n itself, against a running API.

Where no `n8n` is installed (docs/api.md says how from the npm registry) this skips.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from regime_pipeline.cli.serve import api_served
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.conftest import REPOSITORY, fresh_database
from regime_pipeline_tests.served_home import ETH

pytestmark = pytest.mark.slow

ASK, DECIDE, TELL = "Ask for the verdict", "Stopped ranging?", "Message"
ID = "regimealert00001"
EXECUTE_S = 300


@pytest.fixture(scope="module")
def n8n() -> str:
    """The program; skips where there is none."""
    found = shutil.which(os.environ.get("REGIME_TEST_N8N", "n8n"))
    if found is None:
        pytest.skip("there is no n8n to test with (REGIME_TEST_N8N names one)")
    return found


@pytest.fixture
def environment(tcp_postgres_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An n8n of one's own: folder, and a database over TCP, since SQLite's driver is not built everywhere."""
    with fresh_database(tcp_postgres_url) as url:
        parts = conninfo_to_dict(url)
        named = {"HOST": "host", "PORT": "port", "DATABASE": "dbname", "USER": "user", "PASSWORD": "password"}
        yield {
            **os.environ,
            **{f"DB_POSTGRESDB_{name}": str(parts.get(key) or "") for name, key in named.items()},
            "DB_TYPE": "postgresdb",
            "N8N_USER_FOLDER": str(tmp_path),
            "N8N_DIAGNOSTICS_ENABLED": "false",
            "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        }


def workflow(url: str, key: str) -> dict[str, Any]:
    """The shipped workflow with our address and key, and a trigger that the command line may pull."""
    flow: dict[str, Any] = json.loads((REPOSITORY / "docs" / "n8n" / "regime-alert.json").read_text("utf-8"))
    (ask,) = [node for node in flow["nodes"] if node["name"] == ASK]
    ask["parameters"]["url"] = ask["parameters"]["url"].replace("http://127.0.0.1:8000", url)
    (header,) = ask["parameters"]["headerParameters"]["parameters"]
    header["value"] = key
    now = {"id": "now", "name": "Now", "type": "n8n-nodes-base.manualTrigger", "typeVersion": 1, "position": [0, 200]}
    flow["nodes"].append({**now, "parameters": {}})
    flow["connections"]["Now"] = flow["connections"]["Every hour"]
    return {**flow, "id": ID}


def run(program: str, environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [program, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=EXECUTE_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def items(nodes: dict[str, Any], name: str, output: int = 0) -> list[dict[str, Any]]:
    """What a node gave on one of its outputs; nothing where it did not run."""
    (ran,) = nodes.get(name) or [{"data": {"main": [[], []]}}]
    return [item["json"] for item in ran["data"]["main"][output]]


def test_n8n_imports_and_executes_the_workflow(
    n8n: str, environment: dict[str, str], ws: Workspace, writer: dict[str, str], tmp_path: Path
) -> None:
    with api_served(ws, "127.0.0.1", 0) as url:
        file = tmp_path / "workflow.json"
        file.write_text(json.dumps(workflow(url.rstrip("/"), writer["X-API-Key"])), "utf-8")
        run(n8n, environment, "import:workflow", f"--input={file}")
        printed = run(n8n, environment, "execute", f"--id={ID}", "--rawOutput")
    nodes = json.loads(printed[printed.index("{") :])["data"]["resultData"]["runData"]
    (answer,) = items(nodes, ASK)

    assert (answer["ok"], answer["symbol"], answer["timeframe"]) == (True, ETH.symbol, ETH.timeframe)
    is_told = answer["verdict"] in ("TREND", "TRANSITION")
    told = f"{answer['symbol']} {answer['hour_start']}: {answer['verdict']}. {answer['reason']}"
    assert [len(items(nodes, DECIDE, output)) for output in (0, 1)] == ([1, 0] if is_told else [0, 1])
    assert items(nodes, TELL) == ([{"message": told}] if is_told else [])
    asked = ws.warehouse.hooks.asked(answer["request_id"], timedelta(days=1))
    assert asked is not None
    assert asked.answer == answer
