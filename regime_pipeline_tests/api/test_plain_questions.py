"""Tests of `api.plain_questions`: the quick way answers as FastAPI's own does, and only sound questions pass."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regime_pipeline.api.plain_questions import PlainQuestion, plain_question
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.queries.candle_regimes import FOREVER
from regime_pipeline_tests.served_home import hour

BASE = "/api/data/regime/ETH-USDT/1h"
SAME = ("ETag", "X-Regime-Source", "Content-Type", "Cache-Control", "Content-Length")
MOMENTS = st.integers(-10, 430).map(lambda number: to_iso(hour(number)))
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "start": MOMENTS,
        "end": MOMENTS,
        "limit": st.sampled_from(["1", "7", "500", "20000", "20001", "0", "007", "x"]),
        "format": st.sampled_from(["rows", "columns", "arrow", "csv"]),
    },
)


def question(query: str = "", symbol: str = "ETH-USDT", timeframe: str = "1h", **headers: str) -> PlainQuestion | None:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    path = {"symbol": symbol, "timeframe": timeframe}
    return plain_question(
        Request({"type": "http", "path_params": path, "query_string": query.encode(), "headers": sent})
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(QUERIES)
def test_both_ways_give_the_same_answer(client: TestClient, query: dict[str, Any]) -> None:
    quick = client.get(BASE, params=query)
    slow = client.get(BASE, params=query, headers={"Content-Length": "0"})  # a body, though none: not plain

    assert quick.status_code == slow.status_code
    if quick.status_code == 200:
        assert quick.content == slow.content
        assert {name: quick.headers.get(name) for name in SAME} == {name: slow.headers.get(name) for name in SAME}
    else:
        assert quick.json()["errors"] == slow.json()["errors"]


def test_a_plain_question_is_read_as_it_is_meant() -> None:
    eth = Market("ETH-USDT", "1h")
    first, last = hour(10), hour(20)

    assert question() == PlainQuestion(eth, FOREVER, 500, "rows", None)
    found = question(f"start={to_iso(first)}&end={to_iso(last)}&limit=3&format=arrow", if_none_match='"x"')
    assert found == PlainQuestion(eth, (first, last), 3, "arrow", '"x"')
    assert question(symbol="BTC-USDT-PERP", timeframe="1d") is not None


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=20001", "limit=", "limit=5&limit=6", "limit=%35x", "format=csv", "zzz=1", "start="),
        *("start=2026-09-01", "start=2026-09-01T00:00:00+00:00", "start=2026-13-01T00:00:00Z"),
        "start=2026-09-02T00:00:00Z&end=2026-09-01T00:00:00Z",
    ],
)
def test_what_is_not_plain_is_left_to_the_checks(query: str) -> None:
    assert question(query) is None


@pytest.mark.parametrize(
    "other",
    [
        *({"symbol": "ETHUSDT"}, {"symbol": "eth-usdt"}, {"symbol": "ETH-USDT\0"}, {"timeframe": "6h"}),
        *({"x_api_key": "secret"}, {"content_length": "3"}, {"transfer_encoding": "chunked"}),
    ],
)
def test_another_spelling_a_key_or_a_body_is_left_to_the_checks(other: dict[str, str]) -> None:
    assert question("limit=5", **other) is None


def test_a_key_that_is_sent_is_looked_at(client: TestClient) -> None:
    assert client.get(BASE, headers={"X-API-Key": "wrong"}).status_code == 401
