"""Tests of keys, scopes, rates and bodies: who may do what, how often, and how much at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import sql

from regime_pipeline.api.app import create_app
from regime_pipeline.api.auth import create_key, find_key, revoke_key
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.api.middleware import TokenBuckets
from regime_pipeline.bootstrap import open_databases
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import proposed_fields
from regime_pipeline.settings import Settings
from regime_pipeline.storage.admin.roles import apply_roles
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.served_home import served_workspace

ORDER = {"why": "news"}


@pytest.fixture(scope="module")
def ws(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with fresh_database(postgres_url) as url, served_workspace(url, tmp_path_factory.mktemp("served")) as opened:
        yield opened


def fields(ws: Workspace) -> dict[str, object]:
    return {name: str(value) if not isinstance(value, bool | int | str) else value
            for name, value in proposed_fields(ws, "ETH-USDT").items()}  # fmt: skip


def test_a_write_needs_a_key_that_may_write(client: TestClient, reader: dict[str, str]) -> None:
    for headers, status, code in (
        ({}, 401, "key_needed"),
        ({"X-API-Key": ""}, 401, "key_needed"),
        ({"X-API-Key": "nonsense"}, 401, "key_unknown"),
        ({"X-API-Key": "regime_000000000000_" + "A" * 43}, 401, "key_unknown"),
        ({"X-API-Key": "regime_';--_x"}, 401, "key_unknown"),
        (reader, 403, "scope"),
    ):
        for answer in (
            client.put("/api/grids/ETH-USDT", json={"version": 0, "why": "x", "grid": {}}, headers=headers),
            client.post("/api/gates/ETH-USDT/stop", json=ORDER, headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get("/api/grids/ETH-USDT").status_code == 404, "nothing was written"


def test_reading_may_need_a_key_too(ws: Workspace, reader: dict[str, str], writer: dict[str, str]) -> None:
    with TestClient(create_app(ws, ApiOptions(is_key_required=True)), base_url="http://localhost") as client:
        assert client.get("/api/markets").status_code == 401
        assert client.get("/metrics").status_code == 401
        assert client.post("/api/hooks/analyze", json={"symbol": "ETH-USDT"}).status_code == 401
        assert client.get("/healthz").status_code == 200
        for headers in (reader, writer):
            assert client.get("/api/markets", headers=headers).status_code == 200


def test_a_key_is_kept_as_a_hash_and_can_be_revoked(ws: Workspace) -> None:
    store = ws.warehouse.access
    text = create_key(store, "gone", "read")
    found = find_key(store, text)
    assert found is not None
    assert (found.name, found.scope) == ("gone", "read")
    secret = text.rpartition("_")[2] if text.count("_") == 2 else text.split("_", 2)[2]
    assert secret not in repr(store.keys())
    assert find_key(store, text[:-1] + ("A" if text[-1] != "A" else "B")) is None

    revoke_key(store, found.key_id)

    assert find_key(store, text) is None
    with pytest.raises(UsageError, match="no active key"):
        revoke_key(store, found.key_id)


def test_a_grid_is_written_changed_on_the_version_one_knows_and_stopped(
    ws: Workspace, client: TestClient, writer: dict[str, str]
) -> None:
    first = client.put("/api/grids/ETHUSDT", headers=writer, json={"version": 0, "why": "begin", "grid": fields(ws)})
    assert first.status_code == 200, first.text
    assert first.json()["version"] == 1
    stale = client.put("/api/grids/ETH-USDT", headers=writer, json={"version": 0, "why": "x", "grid": {"levels": 9}})
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
    wrong = client.put("/api/grids/ETH-USDT", headers=writer, json={"version": 1, "why": "x", "grid": {"levels": -1}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "usage")
    assert "levels" in wrong.json()["error"]
    extra = client.put("/api/grids/ETH-USDT", headers=writer, json={"version": 1, "why": "x", "grid": {}, "a": 1})
    assert (extra.status_code, extra.json()["code"]) == (422, "malformed")
    on = client.put("/api/grids/ETH-USDT", headers=writer, json={"version": 1, "why": "go", "grid": {"enabled": True}})
    assert on.status_code == 200, on.text
    assert on.json()["grid"]["enabled"] is True

    stop = client.post("/api/gates/ETH-USDT/stop", headers=writer, json=ORDER)
    found = client.get("/api/grids/ETH-USDT").json()
    gates = client.get("/api/gates/ETH-USDT").json()

    assert stop.status_code == 201
    assert (stop.json()["who"], stop.json()["why"], stop.json()["cause"]) == ("bot", "news", "MANUAL")
    assert (found["version"], found["grid"]["enabled"]) == (3, False)
    assert [version["who"] for version in found["history"]] == ["bot"] * 3
    assert found["advice"]["action"]
    assert gates["stops"] == [stop.json()]
    assert client.get("/api/grids/BTC-USDT").status_code == 404
    assert client.get("/api/gates/DOGE-USDT").status_code == 404
    none = client.post("/api/gates/BTC-USDT/stop", headers=writer, json=ORDER)
    assert (none.status_code, none.json()["code"]) == (422, "usage")


@pytest.fixture
def own_login(ws: Workspace, make_database: Callable[[], str]) -> Iterator[Settings]:
    """The databases as a login sees them that is in the writer's role and in nothing else."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    *others, writers = apply_roles(ws.warehouse.url, prefix)
    name = sql.Identifier(f"{prefix}_api")
    with psycopg.connect(ws.warehouse.url, autocommit=True) as owner:
        owner.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret' IN ROLE {}").format(name, sql.Identifier(writers))
        )
        yield Settings(
            database_url=f"{ws.warehouse.url}&user={prefix}_api",
            dagster_database_url=f"{make_database()}&user={prefix}_api",
        )
        owner.execute(sql.SQL("DROP ROLE {}").format(name))
        for role in (*others, writers):
            owner.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_a_login_of_the_writers_role_serves_the_api(ws: Workspace, own_login: Settings) -> None:
    own = open_databases(own_login).regimes
    with psycopg.connect(own) as connection:
        (who,) = connection.execute("SELECT current_user").fetchone() or ("",)
        assert who.endswith("_api")
    with (
        Warehouse(own) as warehouse,
        TestClient(create_app(replace(ws, warehouse=warehouse)), base_url="http://localhost") as client,
    ):
        headers = {"X-API-Key": create_key(warehouse.access, "own", "write")}
        version = client.get("/api/grids/ETH-USDT", headers=headers).json().get("version", 0)
        change = {"version": version, "why": "own login", "grid": fields(ws)}
        assert client.get("/readyz").status_code == 200
        assert client.put("/api/grids/ETH-USDT", headers=headers, json=change).status_code == 200
        assert client.post("/api/gates/ETH-USDT/stop", headers=headers, json=ORDER).status_code == 201
        assert client.post("/api/hooks/analyze", headers=headers, json={"symbol": "ETH-USDT"}).status_code in (200, 202)


FORGED = ({}, {"X-Forwarded-For": "203.0.113.7"}, {"X-API-Key": "regime_1_z"}, {"X-API-Key": "regime_2_z"})
"""Headers that a caller makes up give it no bucket of its own."""


def test_too_many_requests_get_the_time_to_come_back(ws: Workspace, reader: dict[str, str]) -> None:
    with TestClient(create_app(ws, ApiOptions(rate_per_minute=3)), base_url="http://localhost") as client:
        assert client.get("/api/markets", headers=reader).status_code == 200
        answers = [client.get("/api/markets", headers=forged) for forged in FORGED]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        refused = answers[-1]
        assert refused.json()["is_retryable"] is True
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert client.get("/healthz").status_code == 200, "health is never refused"
        assert client.get("/api/markets", headers=reader).status_code == 200, "each verified key has its own"


def test_a_bucket_fills_again_and_forgets_old_callers() -> None:
    buckets = TokenBuckets(60)
    assert [buckets.take("a", 0.0) for _ in range(60)] == [0.0] * 60
    assert buckets.take("a", 0.0) == pytest.approx(1.0)
    assert buckets.take("a", 0.5) == pytest.approx(0.5)
    assert buckets.take("a", 1.5) == 0.0
    for number in range(10_001):
        buckets.take(f"b{number}", 2.0)
    assert buckets.take("a", 2.0) == 0.0, "a new bucket"


def test_a_large_body_is_refused(ws: Workspace, writer: dict[str, str]) -> None:
    with TestClient(create_app(ws, ApiOptions(max_body_bytes=1_000)), base_url="http://localhost") as client:
        answer = client.put("/api/grids/ETH-USDT", headers=writer, content=b'{"why": "' + b"x" * 2_000 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"symbol": 5}', b'{"symbol": "ETH-USDT", "x": 1}'])
def test_bodies_that_are_none_are_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/hooks/analyze", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert answer.json()["errors"]
