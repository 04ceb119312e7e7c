"""Tests of the API as a whole: the OpenAPI document, every form of input, and reading while everything is rewritten."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings

from regime_pipeline.api.app import create_app
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.importing import import_place
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.settings import Settings
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.factories import NOW, hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.served_home import ETH, other_policy, served_workspace

EXAMPLES = 12 * int(os.environ.get("REGIME_TEST_SOAK", "1"))


@pytest.fixture(scope="module")
def ws(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with fresh_database(postgres_url) as url, served_workspace(url, tmp_path_factory.mktemp("served")) as opened:
        yield opened


def test_the_document_has_examples_errors_and_keys(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert {"401", "404", "422", "429", "503"} <= operation["responses"].keys(), path
            needs_key = path not in {"/healthz", "/readyz"}
            assert ("security" in operation) == needs_key, (method, path)
    row = document["components"]["schemas"]["RegimeRow"]["properties"]
    assert row["regime"]["examples"] == ["RANGE"]
    assert document["components"]["schemas"]["ErrorBody"]["properties"]["error"]["examples"]


@pytest.fixture(scope="module")
def schema(ws: Workspace, writer: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> object:
    place = import_place(Settings(home=tmp_path_factory.mktemp("home")), ws)
    app = create_app(ws, ApiOptions(rate_per_minute=10**9, allowed_hosts=("testserver",)), place)
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_no_input_is_a_server_error(schema: object, writer: dict[str, str]) -> None:
    """Whatever the document allows, and much that it does not, gets an answer that the document knows."""
    found = schema.get_all_operations()  # type: ignore[attr-defined]
    checked = 0
    for result in found:
        operation = result.ok()

        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @schemathesis_given(operation)
        def one(case: schemathesis.Case) -> None:
            answer = case.call(headers=writer)
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
            if answer.status_code >= 400:
                body = answer.json()
                assert body["status"] == answer.status_code, case.as_curl_command()
                assert body["ok"] is False

        one()
        checked += 1
    assert checked >= 20


def schemathesis_given(operation: object) -> Callable[[Callable[[schemathesis.Case], None]], Callable[[], None]]:
    """Hypothesis' `given` over the cases of an operation."""
    from hypothesis import given

    return given(operation.as_strategy())  # type: ignore[attr-defined,no-any-return]


def test_answers_are_whole_while_the_series_is_rewritten(database_url: str, tmp_path: Path) -> None:
    """A writer swaps between two policies without rest; every answer is one of the two, whole."""
    window = hours_from_start(0, 300)
    with simulated_workspace(database_url, tmp_path, [ETH]) as ws:
        run_stages(ws, ETH, [window])
        candles = ws.warehouse.read_candles(ETH, 0, NOW)
        true = classify(candles, ws.policy.candle_regime)
        other = classify(candles, other_policy().candle_regime)
        stop = threading.Event()

        def rewrite() -> None:
            while not stop.is_set():
                for rows, policy_hash in (
                    (other, other_policy().candle_regime.hash),
                    (true, ws.policy.candle_regime.hash),
                ):
                    columns = {"open_time": rows.open_time_ms, "state": rows.state, "confidence": rows.confidence}
                    run = ws.start_run(policy_hash)
                    ws.warehouse.replace_range("candle_regime", ETH, window, columns, run)

        writer = threading.Thread(target=rewrite)
        writer.start()
        try:
            with TestClient(
                create_app(ws, ApiOptions(rate_per_minute=10**9, allowed_hosts=("testserver",))),
                base_url="http://localhost",
            ) as client:
                sources = set()
                expected = np.round(np.float32(true.confidence).astype(float), 4).tolist()
                for asked in range(5_000):
                    if asked >= 100 and len(sources) == 2:
                        break
                    answer = client.get("/api/data/regime/ETH-USDT/1h?limit=1000")
                    rows = answer.json()
                    sources.add(answer.headers["X-Regime-Source"])
                    assert [row["time"] * 1000 for row in rows] == true.open_time_ms.tolist()
                    assert [row["confidence"] for row in rows] == expected
        finally:
            stop.set()
            writer.join()

    assert sources == {"stored", "computed"}, "both were met, and nothing between them"
