"""Tests of `api.faults` and `api.checked_route`: a request with several faults is refused once, with all of them."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regime_pipeline.api import grid_routes, hold_routes, hook_routes, monitoring, regime_routes, verdict_routes
from regime_pipeline.api.checked_route import CheckedRoute
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.served_home import CLOCK

REGIMES, VERDICTS = "/api/data/regime/{symbol}/{timeframe}", "/api/verdicts/{symbol}/{timeframe}"


class Wrong(NamedTuple):
    """A fault: where it is, what is sent there, and what its refusal says."""

    place: str
    sent: str
    said: str


SYMBOL, TIMEFRAME = (
    Wrong("symbol", "NOPE", "'NOPE' is not a symbol"),
    Wrong("timeframe", "6h", "'6h' is not a timeframe"),
)
SPAN = [
    Wrong("start", "yesterday", "query.start: 'yesterday' is not a time"),
    Wrong("start", "2026-09-01T00:00:00", "query.start: The time '2026-09-01T00:00:00' has no offset"),
    Wrong("end", "1901-01-01T00:00:00Z", "is not within 1970 to 2100"),
    Wrong("limit", "0", "query.limit: Input should be greater than or equal to 1"),
    Wrong("limit", "many", "query.limit: Input should be a valid integer"),
    Wrong("limt", "5", "'limt' is not a query parameter here. Did you mean limit?"),
    Wrong("zzz", "5", "'zzz' is not a query parameter here"),
]
CURSOR = Wrong("cursor", "%%", "query.cursor: The cursor was not issued by this API")
FORM = Wrong("format", "csv", "query.format: Input should be 'rows', 'columns' or 'arrow'")
FAULTS_OF = {
    REGIMES: [SYMBOL, TIMEFRAME, *SPAN, FORM],
    f"{REGIMES}/stats": [SYMBOL, TIMEFRAME, *SPAN],
    f"{REGIMES}/periods": [
        *(SYMBOL, TIMEFRAME, *SPAN, CURSOR),
        Wrong("regime", "SIDEWAYS", "query.regime: Input should be 'UNDEFINED'"),
    ],
    VERDICTS: [SYMBOL, TIMEFRAME, *SPAN, CURSOR, FORM],
    f"{VERDICTS}/hold": [
        *(SYMBOL, TIMEFRAME),
        Wrong("lower", "-1", "query.lower: Input should be greater than 0"),
        Wrong("hours", "0", "query.hours: Input should be greater than or equal to"),
        Wrong("limit", "3", "'limit' is not a query parameter here"),
    ],
    "/api/candles/{symbol}/{timeframe}": [SYMBOL, TIMEFRAME, *SPAN, CURSOR, FORM],
    "/api/grids/{symbol}/events": [SYMBOL, *SPAN],
}


@st.composite
def combined(draw: st.DrawFn) -> tuple[str, list[Wrong]]:
    """A route and one to four of its faults, each in another place."""
    path = draw(st.sampled_from(sorted(FAULTS_OF)))
    faults = st.sampled_from(FAULTS_OF[path])
    return path, draw(st.lists(faults, min_size=1, max_size=4, unique_by=lambda fault: fault.place))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(combined())
def test_every_fault_of_a_request_is_named_once(client: TestClient, asked: tuple[str, list[Wrong]]) -> None:
    path, faults = asked
    sent = {fault.place: fault.sent for fault in faults}
    url = path.format(symbol=sent.pop("symbol", "ETH-USDT"), timeframe=sent.pop("timeframe", "1h"))
    answer = client.get(url, params=sent)
    body = answer.json()

    assert answer.status_code == body["status"] == 422, body
    assert len(body["errors"]) == len(faults), body["errors"]
    for fault in faults:
        assert sum(fault.said in each for each in body["errors"]) == 1, (fault, body["errors"])
        assert fault.said in body["error"]


def test_a_start_after_the_end_is_named_beside_the_others(client: TestClient) -> None:
    span = {"start": "2026-09-02T00:00:00Z", "end": "2026-09-01T00:00:00Z"}
    body = client.get("/api/candles/NOPE/1h", params={**span, "limt": 3, "cursor": "%%"}).json()

    assert len(body["errors"]) == 4
    assert any("is not before the end" in each for each in body["errors"])


def test_a_webhook_names_every_fault_of_its_body(client: TestClient) -> None:
    body = {"symbol": "NOPE", "timeframe": "6h", "trigger_time": "yesterday"}
    answer = client.post("/api/hooks/analyze", json=body)

    assert answer.status_code == 422
    for said in ("'NOPE' is not a symbol", "'6h' is not a timeframe", "'yesterday' is not a time"):
        assert sum(said in each for each in answer.json()["errors"]) == 1
    late = {**body, "trigger_time": f"{3000 + CLOCK % 7}-01-01T00:00:00Z", "symbol": "ETH-USDT", "timeframe": "1h"}
    assert "not within 1970 to 2100" in client.post("/api/hooks/analyze", json=late).json()["error"]


def test_a_faulty_request_does_not_spoil_the_next(client: TestClient) -> None:
    for _ in range(3):
        assert client.get("/api/candles/NOPE/2h?limt=1").status_code == 422
        assert client.get("/api/candles/ETH-USDT/1h?limit=1").status_code == 200


@pytest.mark.parametrize("routes", [regime_routes, verdict_routes, hold_routes, grid_routes, hook_routes, monitoring])
def test_every_route_looks_at_what_was_noted(routes: object, ws: Workspace) -> None:
    """One that did not would answer a question that was never sound."""
    found = [route for name in ("router", "quick") for route in getattr(getattr(routes, name, None), "routes", [])]
    assert found
    assert all(isinstance(route, CheckedRoute) for route in found if isinstance(route, APIRoute))
