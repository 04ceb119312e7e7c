"""Requests made to harm: foreign hosts, texts that cannot be stored, and what answers give away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.domain.errors import StorageError
from regime_pipeline.services.chain.workspace import Workspace

SECRET = "postgresql://postgres@/regimes?host=/srv/ada/.regime/postgres"


def test_a_rebound_name_or_a_foreign_page_reads_nothing(client: TestClient) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        answer = client.get("/api/markets", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin")


def test_the_next_page_is_on_this_server_whatever_the_headers_say(client: TestClient) -> None:
    headers = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example", "Host": "10.9.8.7"}
    answer = client.get("/api/candles/ETH-USDT/1h", params={"limit": 2}, headers=headers)
    assert answer.json()["next_url"].startswith("/api/candles/ETH-USDT/1h?limit=2&cursor=")


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "a\\udfffb"])
@pytest.mark.parametrize("shape", ['{"why": "%s"}', '{"grid": {"symbol": "%s"}}', '{"%s": 1}'])
def test_text_that_cannot_be_stored_is_malformed(
    client: TestClient, writer: dict[str, str], text: str, shape: str
) -> None:
    body = (shape % text).encode()
    for method, path in (
        ("POST", "/api/gates/ALFA-USDT/stop"),
        ("PUT", "/api/grids/ALFA-USDT"),
        ("POST", "/api/hooks/analyze"),
    ):
        headers = {**writer, "Content-Type": "application/json"}
        answer = client.request(method, path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["is_retryable"]) == (422, False)


def test_a_nul_in_the_address_is_malformed(client: TestClient) -> None:
    for path in ("/api/verdicts/%00/1h", "/api/verdicts/ALFA-USDT/1h?start=%00"):
        assert client.get(path).status_code == 422


def test_no_answer_names_the_servers_urls_and_paths(ws: Workspace) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise StorageError(f"The database {SECRET} refused: no.", "Check the server with `regime db status`.")

    app = create_app(ws)
    with TestClient(app, raise_server_exceptions=False, base_url="http://localhost") as client:
        app.state.context = replace(app.state.context, ws=replace(ws, warehouse=Broken()))  # type: ignore[arg-type]
        answer = client.get("/api/verdicts/ETH-USDT/1h")
    assert answer.status_code == 503
    assert "postgresql" not in answer.text
    assert "/home" not in answer.text
    assert answer.json()["request_id"] in answer.json()["error"]
