"""Tests of what stands beside the API: its page, the workflow that n8n imports, the dashboard that Grafana imports."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from fastapi.testclient import TestClient

from regime_pipeline_tests.conftest import REPOSITORY


def test_the_page_names_every_route(client: TestClient) -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    for path in client.get("/openapi.json").json()["paths"]:
        last = next(part for part in reversed(path.split("/")) if part and "{" not in part)
        assert last in page, path
    for field in ("time", "regime", "full_regime", "trend_state", "volatility_state", "momentum_state", "color"):
        assert f"`{field}`" in page


def test_the_workflow_is_whole_and_asks_what_the_api_answers(client: TestClient) -> None:
    flow = json.loads((REPOSITORY / "docs" / "n8n" / "regime-alert.json").read_text("utf-8"))
    nodes = {node["name"]: node for node in flow["nodes"]}

    assert len({node["id"] for node in flow["nodes"]}) == len(nodes)
    for source, outputs in flow["connections"].items():
        assert source in nodes
        assert {link["node"] for output in outputs["main"] for link in output} <= set(nodes)
    asked = nodes["Ask for the verdict"]["parameters"]
    assert [entry["name"] for entry in asked["headerParameters"]["parameters"]] == ["X-API-Key"]
    body = {"symbol": "ETH-USDT", "timeframe": "1h", "request_id": "n8n-17"}
    assert set(re.findall(r"(\w+):", asked["jsonBody"])) == set(body)
    answer = client.request(asked["method"], urlsplit(asked["url"]).path, json=body)
    assert answer.status_code == 200
    used = {name for node in flow["nodes"] for name in re.findall(r"\$json\.(\w+)", json.dumps(node))}
    assert used - {"question_id"} <= answer.json().keys()
    assert used == {"symbol", "hour_start", "verdict", "reason", "question_id"}


def test_the_workflow_asks_with_ids_that_no_other_installation_uses() -> None:
    """A random id per execution, made before the node that is retried, so that every try has the same one."""
    flow = json.loads((REPOSITORY / "docs" / "n8n" / "regime-alert.json").read_text("utf-8"))
    nodes = {node["name"]: node for node in flow["nodes"]}
    (named,) = [node for node in nodes.values() if node["type"] == "n8n-nodes-base.crypto"]

    assert named["parameters"] == {"action": "generate", "dataPropertyName": "question_id", "encodingType": "uuid"}
    assert flow["connections"][named["name"]]["main"][0][0]["node"] == "Ask for the verdict"
    assert "retryOnFail" not in named
    assert nodes["Ask for the verdict"]["retryOnFail"]
    assert "$execution" not in json.dumps(flow)


def test_the_dashboard_shows_figures_that_exist(client: TestClient) -> None:
    board = json.loads((REPOSITORY / "docker" / "grafana" / "regime.json").read_text("utf-8"))
    client.get("/api/markets")
    told = client.get("/metrics").text
    shown = {
        name for panel in board["panels"] for t in panel["targets"] for name in re.findall(r"regime_\w+", t["expr"])
    }

    assert len(shown) >= 8
    for name in shown:
        assert re.search(rf"^{name}[{{ ]", told, re.MULTILINE), name
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
