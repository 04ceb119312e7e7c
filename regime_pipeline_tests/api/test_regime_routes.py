"""Tests of the routes of candle regimes: equal to the service, with versions, sources, pages and limits."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.domain.candle_regimes.states import COLORS, REGIME_STATES, SIMPLIFIED
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries import candle_regimes as service
from regime_pipeline_tests.factories import NOW
from regime_pipeline_tests.served_home import BTC, ETH, hour, with_other_policy

BASE = "/api/data/regime/ETH-USDT/1h"


def expected_rows(ws: Workspace, market: Any = ETH) -> list[dict[str, Any]]:
    found = service.regime_series(ws, market)
    states = [REGIME_STATES[code] for code in found.regimes.state]
    return [
        {
            "time": time // 1000,
            "known_at": (time + market.step_ms) // 1000,
            "regime": state.simplified_regime,
            "full_regime": state.full_regime,
            "trend_state": state.trend_state,
            "volatility_state": state.volatility_state,
            "momentum_state": state.momentum_state,
            "color": COLORS[state.simplified_regime],
            "confidence": round(confidence, 4),
        }
        for time, state, confidence in zip(
            found.regimes.open_time_ms.tolist(), states, found.regimes.confidence.tolist(), strict=True
        )
    ]


@pytest.mark.parametrize("market", [ETH, BTC])
@pytest.mark.parametrize("is_stored", [True, False])
def test_the_series_is_the_services(ws: Workspace, market: Any, is_stored: bool) -> None:
    seen = ws if is_stored else with_other_policy(ws)
    with TestClient(create_app(seen), base_url="http://localhost") as client:
        answer = client.get(f"/api/data/regime/{market.symbol}/{market.timeframe}?limit=20000")

    assert answer.status_code == 200
    assert answer.headers["X-Regime-Source"] == ("stored" if is_stored else "computed")
    assert answer.json() == expected_rows(seen, market)


def test_the_newest_bars_or_the_first_of_a_span_oldest_first(ws: Workspace, client: TestClient) -> None:
    rows = expected_rows(ws)
    span = {"start": to_iso(hour(100)), "end": to_iso(hour(200))}
    inside = [row for row in rows if hour(100) <= row["time"] * 1000 < hour(200)]

    assert client.get(BASE).json() == rows[-500:]
    assert client.get(BASE, params={"limit": 120}).json() == rows[-120:]
    assert client.get(BASE, params=span).json() == inside
    assert client.get(BASE, params={**span, "limit": 3}).json() == inside[:3]
    assert client.get(BASE, params={"end": span["end"], "limit": 3}).json() == inside[-3:]
    plus = to_iso(hour(100)).replace("Z", "+00:00")
    assert client.get(f"{BASE}?start={plus}&end={span['end']}").json() == inside, "a plus that became a space"
    assert client.get(BASE, params={"start": to_iso(NOW)}).json() == []


def test_an_answer_has_a_version_and_is_not_sent_twice(ws: Workspace, client: TestClient) -> None:
    first = client.get(BASE, params={"limit": 50})
    tag = first.headers["ETag"]
    again = client.get(BASE, params={"limit": 50}, headers={"If-None-Match": tag})
    other = client.get(BASE, params={"limit": 51}, headers={"If-None-Match": tag})

    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert other.status_code == 200
    assert len(other.json()) == 51
    for sent, status in ((f'W/"x", {tag}', 304), (tag.replace('"', ""), 200), (f'{tag[:-1]}0"', 200)):
        assert client.get(BASE, params={"limit": 50}, headers={"If-None-Match": sent}).status_code == status
    ws.warehouse.start_run("", "")
    assert client.get(BASE, params={"limit": 50}).content == first.content


def test_statistics_are_the_services(ws: Workspace, client: TestClient) -> None:
    found = service.regime_series(ws, ETH)

    assert client.get(f"{BASE}/stats").json() == service.regime_stats(found)
    assert client.get(f"{BASE}/confidence").json() == service.confidence_stats(found)
    assert client.get(f"{BASE}/performance").json() == service.regime_performance(ws, found)
    newest = service.regime_series(ws, ETH, limit=60)
    assert client.get(f"{BASE}/stats", params={"limit": 60}).json() == service.regime_stats(newest)


def pages(client: TestClient, url: str, **params: Any) -> tuple[list[dict[str, Any]], int]:
    """Every item of a paged list, and the number of pages."""
    answer = client.get(url, params=params).json()
    items, count = answer["items"], 1
    while answer["next_url"]:
        answer = client.get(answer["next_url"]).json()
        items, count = [*items, *answer["items"]], count + 1
    return items, count


def test_periods_and_transitions_come_in_pages(ws: Workspace, client: TestClient) -> None:
    found = service.regime_series(ws, ETH)
    periods = service.regime_periods(found)
    items, count = pages(client, f"{BASE}/periods", limit=7)

    assert [item["candles"] for item in items] == periods.candles.tolist()
    assert [item["regime"] for item in items] == [SIMPLIFIED[code] for code in periods.regime]
    assert count == -(-len(items) // 7)
    of_range, _ = pages(client, f"{BASE}/periods", limit=1, regime="RANGE")
    assert of_range == [item for item in items if item["regime"] == "RANGE"]
    events, _ = pages(client, f"{BASE}/transitions", limit=5)
    assert events == service.transition_events(found)
    some, _ = pages(client, f"{BASE}/transitions", limit=2, **{"from": "NEUTRAL", "to": "TREND_UP"})
    assert some == service.transition_events(found, "NEUTRAL", "TREND_UP")
    assert client.get(f"{BASE}/transitions").json()["counts"] == service.transition_shares(found)


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("/api/data/regime/NOPE/1h", 422, "'NOPE' is not a symbol"),
        ("/api/data/regime/ETH-USDT/6h", 422, "'6h' is not a timeframe"),
        ("/api/data/regime/DOGE-USDT/1h", 404, "DOGE-USDT_1h is not stored"),
        (f"{BASE}?start=2026-09-01T00:00:00", 422, "no offset"),
        (f"{BASE}?start=yesterday", 422, "is not a time"),
        (f"{BASE}?end=1901-01-01T00:00:00Z", 422, "not within 1970 to 2100"),
        (f"{BASE}?start=2026-09-02T00:00:00Z&end=2026-09-01T00:00:00Z", 422, "not before"),
        (f"{BASE}?limit=0", 422, "malformed"),
        (f"{BASE}?limit=20001", 422, "malformed"),
        (f"{BASE}?limit=many", 422, "malformed"),
        (f"{BASE}/periods?regime=SIDEWAYS", 422, "malformed"),
        (f"{BASE}/periods?cursor=%25%25", 422, "cursor"),
        ("/api/data/regime/..%2f..%2fetc/1h", 422, "is not a symbol"),
        ("/api/data/regime/ETH'--/1h", 422, "is not a symbol"),
        ("/api/nothing", 404, "Not Found"),
    ],
)
def test_wrong_questions_get_one_flat_error(client: TestClient, url: str, status: int, words: str) -> None:
    answer = client.get(url)
    body = answer.json()

    assert answer.status_code == status
    assert list(body) == ["ok", "status", "code", "error", "errors", "is_retryable", "request_id"]
    assert (body["ok"], body["status"], body["is_retryable"]) == (False, status, False)
    assert words in body["error"]
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert not any(isinstance(value, dict) for value in body.values())


def test_a_symbol_with_a_slash_is_one_segment_of_the_path(client: TestClient) -> None:
    slashed = BASE.replace("-USDT", "%2fUSDT")
    assert slashed != BASE
    assert client.get(slashed, params={"limit": 5}).json() == client.get(BASE, params={"limit": 5}).json()
