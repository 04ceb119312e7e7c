"""Tests of the webhook: one flat answer, once per request id, later where it takes long, errors that may be retried."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api import hook_routes
from regime_pipeline.api.app import create_app
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.json_records import records
from regime_pipeline.services.queries.rounding import rounded_frame
from regime_pipeline.services.queries.verdicts import verdict_series
from regime_pipeline_tests.served_home import CLOCK, ETH, HOURS, WINDOW, hour

URL = "/api/hooks/analyze"


def test_the_answer_is_one_flat_object_of_the_newest_closed_hour(ws: Workspace, client: TestClient) -> None:
    row = records(rounded_frame(verdict_series(ws, ETH, WINDOW).frame))[-1]
    answer = client.post(URL, json={"symbol": "ETHUSDT", "request_id": "flat-1"})
    body = answer.json()

    assert answer.status_code == 200
    assert (body["ok"], body["request_id"], body["hour_start"]) == (True, "flat-1", to_iso(hour(HOURS - 1)))
    assert {name: body[name] for name in row if name in body} == {name: row[name] for name in row if name in body}
    assert body["reason"] == next(f["sentence"] for f in row["factors"] if f["outcome"] == "decided")
    assert not any(isinstance(value, list | dict) for value in body.values())


@pytest.mark.parametrize("seconds", [0, 5, 3_599])
def test_an_earlier_trigger_gets_what_was_closed_by_then(client: TestClient, seconds: int) -> None:
    trigger = to_iso(hour(300) + seconds * 1000)
    body = client.post(URL, json={"symbol": "ETH-USDT", "trigger_time": trigger}).json()
    assert body["hour_start"] == to_iso(hour(299))
    assert body["trigger_time"] == trigger


def test_the_same_request_is_answered_once(client: TestClient, ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = hook_routes.flat_verdict
    monkeypatch.setattr(hook_routes, "flat_verdict", lambda *given: (made.append(1), real(*given))[1])
    question = {"symbol": "ETH-USDT", "request_id": "once"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(URL, json=question), range(8)))
    last = client.post(URL, json=question)

    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert all(answer.json() == last.json() for answer in answers if answer.status_code == 200)
    assert client.get(f"{URL}/once").json() == last.json()
    other = client.post(URL, json={**question, "symbol": "BTC-USDT"})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


def test_what_takes_long_is_asked_for_again(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    real = hook_routes.flat_verdict

    def slow(*given: Any) -> dict[str, Any]:
        gate.wait(20)
        return real(*given)

    monkeypatch.setattr(hook_routes, "flat_verdict", slow)
    with TestClient(create_app(ws, ApiOptions(hook_wait_s=0.05)), base_url="http://localhost") as client:
        first = client.post(URL, json={"symbol": "ETH-USDT", "request_id": "slow"})
        pending = client.get(first.json()["status_url"])
        gate.set()
        for _ in range(200):
            done = client.get(first.json()["status_url"])
            if done.status_code == 200:
                break
            threading.Event().wait(0.05)

    assert (first.status_code, first.headers["Retry-After"]) == (202, "1")
    assert (pending.status_code, pending.json()["status"]) == (202, "pending")
    assert (done.status_code, done.json()["ok"], done.json()["request_id"]) == (200, True, "slow")


def test_a_failure_is_reported_and_may_be_asked_again(
    client: TestClient, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = {"symbol": "ETH-USDT", "request_id": "again"}
    with monkeypatch.context() as patch:

        def down(*_: Any) -> dict[str, Any]:
            raise StorageError("The database went away.")

        patch.setattr(hook_routes, "flat_verdict", down)
        failed = client.post(URL, json=question)
    body = failed.json()

    assert (failed.status_code, body["is_retryable"], body["code"]) == (503, True, "storage")
    assert failed.headers["Retry-After"] == "5"
    assert client.get(f"{URL}/again").status_code == 404
    assert client.post(URL, json=question).status_code == 200


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ({"symbol": "ETH-USDT", "trigger_time": to_iso(CLOCK + 3_600_000)}, 422, "lies in the future"),
        ({"symbol": "ETH-USDT", "trigger_time": "2026-09-02T00:00:00"}, 422, "no offset"),
        ({"symbol": "ETH-USDT", "trigger_time": ""}, 422, "The trigger_time is empty. Leave it out for now"),
        ({"symbol": "ETH-USDT", "trigger_time": "yesterday"}, 422, "'yesterday' is not a time"),
        ({"symbol": "ETHUSDTX"}, 422, "is not a symbol"),
        ({"symbol": "DOGE-USDT"}, 404, "has no hours yet"),
        ({"symbol": "ETH-USDT", "trigger_time": "2020-01-01T00:00:00Z"}, 404, "no candles of ETH-USDT_1h"),
        ({"symbol": "ETH-USDT", "request_id": "../x"}, 422, "malformed"),
        ({}, 422, "malformed: body.symbol: Field required."),
    ],
)
def test_wrong_questions_are_refused_flat(client: TestClient, question: Any, status: int, words: str) -> None:
    answer = client.post(URL, json=question)
    assert (answer.status_code, answer.json()["ok"]) == (status, False)
    assert words in answer.json()["error"]


def test_a_request_lost_between_two_looks_is_asked_for_again(
    client: TestClient, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = ws.warehouse.hooks
    monkeypatch.setattr(hooks, "ask", lambda *_: False)
    monkeypatch.setattr(hooks, "asked", lambda *_: None)
    assert client.post(URL, json={"symbol": "ETH-USDT", "request_id": "lost"}).status_code == 202
