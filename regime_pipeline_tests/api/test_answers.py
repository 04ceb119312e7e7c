"""What the OpenAPI document says of answers, held against the answers, and against docs/api.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.api.test_access import fields
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.served_home import hour, served_workspace

REGIME, VERDICT = "/api/data/regime/{symbol}/{timeframe}", "/api/verdicts/{symbol}/{timeframe}"
NOT_JSON = {"/metrics"}
READS = [
    *(REGIME + part for part in ("", "/stats", "/periods", "/transitions", "/confidence", "/performance")),
    *(VERDICT + part for part in ("", "/latest", "/{time}/explain", "/hold")),
    *("/api/overview", "/api/candles/{symbol}/{timeframe}", "/api/markets", "/healthz", "/readyz"),
]
OF_GRIDS = ["/api/grids/{symbol}", "/api/grids/{symbol}/events", "/api/gates/{symbol}"]


@pytest.fixture(scope="module")
def ws(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with fresh_database(postgres_url) as url, served_workspace(url, tmp_path_factory.mktemp("served")) as opened:
        yield opened


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    """The OpenAPI document, strict: what a model does not name is a fault, unless the model says that more follows."""
    found: dict[str, Any] = client.get("/openapi.json").json()
    for schema in found["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return found


def answer_schema(document: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    """The schema of an answer, with everything that it refers to."""
    content = document["paths"][path][method]["responses"][str(status)]["content"]
    return {**content["application/json"]["schema"], "components": document["components"]}


def agree(document: dict[str, Any], path: str, method: str, answer: Any) -> None:
    jsonschema.validate(answer.json(), answer_schema(document, path, method, answer.status_code))


@pytest.mark.parametrize("path", READS)
def test_reads_answer_what_the_document_says(client: TestClient, document: dict[str, Any], path: str) -> None:
    url = path.format(symbol="ETH-USDT", timeframe="1h", time=to_iso(hour(400)))
    agree(document, path, "get", client.get(url))


def test_the_webhook_answers_what_the_document_says(client: TestClient, document: dict[str, Any]) -> None:
    path = "/api/hooks/analyze"
    agree(document, path, "post", client.post(path, json={"symbol": "ETH-USDT", "request_id": "a"}))
    agree(document, path + "/{request_id}", "get", client.get(path + "/a"))
    agree(document, path, "post", client.post(path, json={"symbol": "BTC-USDT", "request_id": "a"}))


def test_grids_answer_what_the_document_says(
    ws: Workspace, client: TestClient, document: dict[str, Any], writer: dict[str, str]
) -> None:
    grid, gates = "/api/grids/ETH-USDT", "/api/gates/ETH-USDT"
    change = {"version": 0, "why": "begin", "grid": fields(ws)}
    for status in (200, 409):
        answer = client.put(grid, headers=writer, json=change)
        assert answer.status_code == status
        agree(document, "/api/grids/{symbol}", "put", answer)
    agree(document, "/api/gates/{symbol}/stop", "post", client.post(f"{gates}/stop", headers=writer, json={"why": "x"}))
    refused = client.post(f"{gates}/restart", headers=writer, json={"why": "x"})
    assert refused.status_code == 409
    agree(document, "/api/gates/{symbol}/restart", "post", refused)
    for path in OF_GRIDS:
        agree(document, path, "get", client.get(path.format(symbol="ETH-USDT")))


def test_every_answer_is_typed_and_has_an_example(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            good = [status for status in operation["responses"] if status.startswith("2")]
            assert good, path
            for status in set(good) if path not in NOT_JSON else ():
                schema = answer_schema(document, path, method, int(status))
                names = set(
                    re.findall(r"#/components/schemas/(\w+)", str({k: schema[k] for k in schema if k != "components"}))
                )
                assert names, (method, path, status)
                for name in names:
                    properties = document["components"]["schemas"][name]["properties"]
                    plain = [each for each in properties.values() if "$ref" not in str(each)]
                    assert all("examples" in each or "description" in each for each in plain), (name, properties)
                    assert any("examples" in each for each in plain), name
    conflicts = {path for path, each in document["paths"].items() for o in each.values() if "409" in o["responses"]}
    assert conflicts == {"/api/grids/{symbol}", "/api/gates/{symbol}/restart", "/api/hooks/analyze"}
    pending = {path for path, each in document["paths"].items() for o in each.values() if "202" in o["responses"]}
    assert pending == {"/api/hooks/analyze", "/api/hooks/analyze/{request_id}"}


def test_the_documentation_names_every_route(document: dict[str, Any]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    for path in document["paths"]:
        last = path.rpartition("/")[2]
        assert path in page or f"…/{last}" in page or f"{{time}}/{last}" in page, path


def test_a_name_that_the_document_lacks_is_a_fault(client: TestClient, document: dict[str, Any]) -> None:
    path = "/api/candles/{symbol}/{timeframe}"
    page = client.get("/api/candles/ETH-USDT/1h?limit=1").json()
    page["items"][0]["trades"] = 7
    with pytest.raises(jsonschema.ValidationError, match="trades"):
        jsonschema.validate(page, answer_schema(document, path, "get", 200))
