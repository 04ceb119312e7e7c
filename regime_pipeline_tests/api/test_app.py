"""Tests of what any client of HTTP expects: HEAD, compression, a first page, and no parameter that is ignored."""

from __future__ import annotations

import asyncio
import threading

import httpx
import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.chain.workspace import Workspace

THREADS = 40
"""In which routes that wait run, at most: the number of the library that starts them."""

PATHS = ("/healthz", "/api/candles/ETH-USDT/1h?limit=400", "/api/data/regime/ETH-USDT/1h?limit=5")
"""Answers that are the same a moment later: without the age of the data."""


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_its_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-length"] == got.headers["content-length"]


def test_large_answers_are_compressed_for_those_who_accept_it(client: TestClient) -> None:
    path = "/api/data/regime/ETH-USDT/1h?limit=400"
    zipped = client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = client.get(path, headers={"Accept-Encoding": "identity"})

    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert zipped.content == plain.content
    assert int(zipped.headers["content-length"]) < len(plain.content) / 4
    assert "content-encoding" not in client.get("/healthz", headers={"Accept-Encoding": "gzip"}).headers


def test_the_address_alone_leads_to_the_documentation(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limt=5", "'limt' is not a query parameter here. Did you mean limit?"),
        ("zzz=1", "'zzz' is not a query parameter here. There are: end, format, limit, start."),
    ],
)
def test_a_parameter_that_nobody_reads_is_refused(client: TestClient, query: str, said: str) -> None:
    answer = client.get(f"/api/data/regime/ETH-USDT/1h?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert said in answer.json()["error"]
    assert client.get(f"/healthz?{query}").status_code == 422


def test_the_overview_has_every_market_in_one_answer(client: TestClient, ws: Workspace) -> None:
    found = client.get("/api/overview").json()

    assert found["total"] == len(found["items"]) == len(ws.warehouse.markets())
    assert all(item["verdict"] for item in found["items"])


def test_it_is_alive_while_every_thread_waits(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, begun = threading.Event(), threading.Semaphore(0)

    def slow() -> list[Market]:
        begun.release()
        may_end.wait(60)
        return []

    monkeypatch.setattr(ws.warehouse, "markets", slow)

    async def crowd() -> tuple[int, set[int]]:
        transport = httpx.ASGITransport(create_app(ws))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
            others = [asyncio.create_task(asking.get("/readyz")) for _ in range(THREADS + 20)]
            try:
                for _ in range(THREADS):
                    while not begun.acquire(blocking=False):
                        await asyncio.sleep(0.01)
                alive = await asyncio.wait_for(asking.get("/healthz"), 30)
            finally:
                may_end.set()
            return alive.status_code, {(await each).status_code for each in others}

    assert asyncio.run(crowd()) == (200, {200})
