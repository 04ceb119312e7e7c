"""Tests of the route of the hold probability."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.hold import HoldQuery, hold_answer
from regime_pipeline_tests.served_home import ETH

ROUTE = "/api/verdicts/ETH-USDT/1h/hold"


def test_the_answer_is_that_of_the_service(ws: Workspace, client: TestClient) -> None:
    close = hold_answer(ws, ETH, HoldQuery())["close"]
    asked = {"lower": close * 0.96, "upper": close * 1.04, "hours": 72, "probability": 0.5}

    found, expected = client.get(ROUTE, params=asked).json(), hold_answer(ws, ETH, HoldQuery(**asked))

    assert found.pop("data_age_s") == pytest.approx(expected.pop("data_age_s"), abs=5)
    assert found == expected
    assert 0 < found["hold_probability"] < 1


def test_without_bounds_the_band_of_24_hours_and_80_per_cent(client: TestClient) -> None:
    found = client.get("/api/verdicts/ETHUSDT/1h/hold").json()

    assert (found["hours"], found["hold_probability"], found["band"]["probability"]) == (24, None, 0.8)
    assert found["band"]["lower"] < found["close"] < found["band"]["upper"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (f"{ROUTE}?lower=5", 422, "both edges"),
        (f"{ROUTE}?lower=5&upper=4", 422, "not a band of prices"),
        (f"{ROUTE}?hours=11", 422, "hours"),
        (f"{ROUTE}?lower=nan&upper=4", 422, "lower"),
        (f"{ROUTE}?lower=1&upper=inf", 422, "upper"),
        (f"{ROUTE}?probability=80", 422, "probability"),
        ("/api/verdicts/ETH-USDT/1d/hold", 422, "no hold probability on 1d"),
        ("/api/verdicts/DOGE-USDT/1h/hold", 404, "DOGE-USDT_1h"),
    ],
)
def test_mistakes_are_one_flat_error(client: TestClient, path: str, status: int, says: str) -> None:
    answer = client.get(path)

    assert answer.status_code == answer.json()["status"] == status
    assert says in str(answer.json()["error"]) + str(answer.json()["errors"])
