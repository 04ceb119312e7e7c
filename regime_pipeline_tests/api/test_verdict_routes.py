"""Tests of the routes of verdicts, candles and markets: equal to the tables, in pages that miss nothing."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.json_records import records
from regime_pipeline.services.queries.rounding import rounded_frame
from regime_pipeline.services.queries.verdicts import verdict_series
from regime_pipeline_tests.api.test_regime_routes import pages
from regime_pipeline_tests.served_home import CLOCK, END, ETH, HOURS, WINDOW, hour, with_other_policy

BASE = "/api/verdicts/ETH-USDT/1h"


@pytest.mark.parametrize("limit", [50, 419, 1000])
def test_every_hour_comes_once_newest_first(ws: Workspace, client: TestClient, limit: int) -> None:
    items, count = pages(client, BASE, limit=limit)

    assert items == records(rounded_frame(verdict_series(ws, ETH, WINDOW).frame))[::-1]
    assert count == -(-HOURS // limit)
    assert client.get(BASE).json()["total"] == HOURS


def test_a_span_and_another_policy(ws: Workspace, client: TestClient) -> None:
    span = {"start": to_iso(hour(380) + 1), "end": to_iso(hour(390) - 1), "limit": 4}
    items, _ = pages(client, BASE, **span)
    assert [item["hour_start"] for item in items] == [to_iso(hour(number)) for number in range(380, 390)]
    with TestClient(create_app(with_other_policy(ws)), base_url="http://localhost") as other:
        answer = other.get(BASE, params={"limit": 3})
        latest = other.get(f"{BASE}/latest")
    assert answer.headers["X-Regime-Source"] == "computed"
    assert latest.json()["policy_hash"] == answer.json()["items"][0]["policy_hash"] != items[0]["policy_hash"]
    assert client.get(BASE, params={"start": to_iso(END)}).json() == {"items": [], "total": 0, "next_url": None}


def test_latest_and_explain(ws: Workspace, client: TestClient) -> None:
    rows = records(rounded_frame(verdict_series(ws, ETH, WINDOW).frame))
    latest = client.get(f"{BASE}/latest").json()
    explained = client.get(f"{BASE}/{to_iso(hour(400) + 60_000)}/explain").json()

    assert {name: latest[name] for name in rows[-1]} == rows[-1]
    assert latest["data_age_s"] == pytest.approx((CLOCK - END) / 1000, abs=5)
    assert {name: explained[name] for name in rows[400]} == rows[400]
    assert explained["explanation"] == [factor["sentence"] for factor in rows[400]["factors"]]
    assert len(explained["explanation"]) >= 2
    missing = client.get(f"{BASE}/2030-01-01T00:00:00Z/explain")
    assert (missing.status_code, missing.json()["code"]) == (404, "missing")
    assert client.get("/api/verdicts/DOGE-USDT/1h/latest").status_code == 404


def test_candles_and_markets(ws: Workspace, client: TestClient) -> None:
    items, _ = pages(client, "/api/candles/ETHUSDT/1h", limit=100)
    stored = ws.warehouse.read_candles(ETH, 0, END)

    assert [item["time"] for item in items] == [to_iso(opened) for opened in stored.open_time_ms.tolist()][::-1]
    assert [item["close"] for item in items] == stored.prices("close").tolist()[::-1]
    assert [item["volume"] for item in items] == stored.volume.tolist()[::-1]
    assert client.get("/api/candles/DOGE-USDT/1h").status_code == 404
    markets = client.get("/api/markets").json()
    assert [(entry["symbol"], entry["timeframe"]) for entry in markets] == [("ETH-USDT", "1h"), ("BTC-USDT", "15m")]
    assert markets[0]["data_age_s"] == pytest.approx((CLOCK - END) / 1000, abs=5)


def test_figures_for_prometheus(ws: Workspace, client: TestClient) -> None:
    client.get(f"{BASE}/latest")
    text = client.get("/metrics").text

    age = re.search(r'regime_data_age_seconds\{market="ETH-USDT_1h"\} (\S+)', text)
    assert age is not None
    assert float(age[1]) == pytest.approx((CLOCK - END) / 1000, abs=5)
    assert 'regime_verdict{market="BTC-USDT_15m",verdict="' in text
    assert 'regime_table_bytes{table="candle_regime"}' in text
    assert 'regime_stage_age_seconds{stage="regime_verdicts"}' in text
    route = "/api/verdicts/{symbol}/{timeframe}/latest"
    assert f'regime_api_request_seconds_count{{method="GET",route="{route}",status="200"}}' in text
    assert client.get("/metrics").text.count("# TYPE") == text.count("# TYPE")


def test_alive_and_ready(client: TestClient, ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"ok": True}

    def down() -> None:
        raise StorageError("The database went away.")

    monkeypatch.setattr(ws.warehouse, "markets", down)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["is_retryable"], answer.headers["Retry-After"]) == (503, True, "5")
    assert client.get("/healthz").status_code == 200


def test_what_nobody_expected_is_an_error_without_inner_life(
    client: TestClient, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws.warehouse, "markets", lambda: 1 / 0)
    answer = client.get("/api/markets")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "division" not in answer.text
