"""Tests of what a webhook's request id stands for: one whole question, for a stated time, whoever was answering."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.served_home import hour, served_workspace

URL = "/api/hooks/analyze"
EARLIER, LATER = to_iso(hour(300)), to_iso(hour(340))


@pytest.fixture(scope="module")
def ws(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder: Path = tmp_path_factory.mktemp("asked")
    with fresh_database(postgres_url) as url, served_workspace(url, folder) as opened:
        yield opened


def ask(client: TestClient, **question: Any) -> Any:
    return client.post(URL, json={"symbol": "ETH-USDT", **question})


def made_older(ws: Workspace, request_id: str, age: str, *, is_unanswered: bool = False) -> None:
    with psycopg.connect(ws.warehouse.url) as connection:
        connection.execute(
            "UPDATE hook_request SET asked_at = now() - %s::interval WHERE request_id = %s", (age, request_id)
        )
        if is_unanswered:
            connection.execute("UPDATE hook_request SET answer = NULL WHERE request_id = %s", (request_id,))


@pytest.mark.parametrize(
    ("first", "second", "differs"),
    [
        ({"trigger_time": EARLIER}, {"trigger_time": LATER}, "trigger_time"),
        ({"trigger_time": EARLIER}, {}, "trigger_time"),
        ({}, {"trigger_time": LATER}, "trigger_time"),
        ({}, {"timeframe": "15m"}, "timeframe"),
        ({}, {"symbol": "BTC-USDT"}, "symbol"),
        ({"trigger_time": EARLIER}, {"trigger_time": EARLIER, "collect": True}, "collect"),
    ],
)
def test_an_id_with_another_question_is_a_conflict(
    client: TestClient, request: pytest.FixtureRequest, first: Any, second: Any, differs: str
) -> None:
    name = f"bound-{abs(hash(request.node.name))}"
    answered = ask(client, request_id=name, **first)
    refused = ask(client, request_id=name, **second)

    assert answered.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert f"another question: {differs} differs." in refused.json()["error"]
    assert ask(client, request_id=name, **first).json() == answered.json()


def test_spellings_of_the_same_question_are_the_same(client: TestClient) -> None:
    first = ask(client, request_id="spelled", trigger_time=EARLIER)
    other = ask(client, request_id="spelled", symbol="ethusdt", trigger_time=EARLIER.replace("Z", "+00:00"))
    assert (other.status_code, other.json()) == (200, first.json())


def test_an_id_is_forgotten_after_the_stated_time(ws: Workspace) -> None:
    options = ApiOptions(hook_kept_for=timedelta(hours=2))
    with TestClient(create_app(ws, options), base_url="http://localhost") as client:
        ask(client, request_id="old", trigger_time=EARLIER)
        made_older(ws, "old", "119 minutes")
        assert client.get(f"{URL}/old").status_code == 200
        assert ask(client, request_id="old", trigger_time=LATER).status_code == 409

        made_older(ws, "old", "121 minutes")
        assert "forgotten after a while" in client.get(f"{URL}/old").json()["error"]
        fresh = ask(client, request_id="old", trigger_time=LATER)
    assert (fresh.status_code, fresh.json()["hour_start"]) == (200, to_iso(hour(339)))


def test_an_answer_whose_maker_ended_is_made_by_whoever_looks(client: TestClient, ws: Workspace) -> None:
    whole = ask(client, request_id="orphan", trigger_time=EARLIER).json()
    made_older(ws, "orphan", "59 seconds", is_unanswered=True)
    assert client.get(f"{URL}/orphan").status_code == 202
    made_older(ws, "orphan", "61 seconds")
    found = client.get(f"{URL}/orphan")

    assert found.status_code == 200
    assert {**found.json(), "data_age_s": 0} == {**whole, "data_age_s": 0}
    assert client.get(f"{URL}/orphan").json() == found.json()


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Type": "text/plain"}, "The body is sent as text/plain. Send it as application/json."),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "is sent as application/x-www-form-urlencoded."),
        ({}, "The body is sent without a Content-Type. Send it as application/json."),
    ],
)
def test_a_body_that_is_not_sent_as_json_is_refused_as_such(client: TestClient, headers: Any, words: str) -> None:
    refused = client.post(URL, content=b'{"symbol": "ETH-USDT"}', headers=headers)
    assert refused.status_code == 422
    assert words in refused.json()["error"]


@pytest.mark.parametrize(("body", "words"), [(b"[1]", "malformed: body: Input should be"), (b"{", "JSON decode error")])
def test_a_json_body_that_is_wrong_is_refused_with_the_fault(client: TestClient, body: bytes, words: str) -> None:
    refused = client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    assert words in refused.json()["error"]
