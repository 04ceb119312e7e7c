"""Tests of `api.import_routes`: a file in the body is stored as candles, or refused whole, without a path of ours."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api import import_routes
from regime_pipeline.api.app import create_app
from regime_pipeline.api.auth import create_key
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.importing import import_place
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.settings import Settings
from regime_pipeline.storage.admin import migrate
from regime_pipeline_tests.factories import START

MARKET = Market("FILE-EUR", "1h")
MARKETS = """
[partitions]
start = {}

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1h"]
source = "simulated"
"""
URL = "/api/imports/FILE-EUR/1h"


def csv(hours: int, close: int = 11) -> bytes:
    """Hourly candles from the start of the tests' time on."""
    rows = [f"{START + hour * HOUR_MS},10,12,9,{close},{hour + 1}" for hour in range(hours)]
    return "\n".join(["time,open,high,low,close,volume", *rows]).encode()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    migrate.upgrade(database_url)
    made = Settings(home=tmp_path / "home", database_url=database_url)
    made.home.mkdir()
    made.markets.write_text(MARKETS.format(to_iso(START)), "utf-8")
    return made


@pytest.fixture
def ws(settings: Settings) -> Iterator[Workspace]:
    with open_workspace(settings) as opened:
        yield opened


@pytest.fixture
def client(ws: Workspace, settings: Settings) -> Iterator[TestClient]:
    options = ApiOptions(max_file_bytes=20_000)
    with TestClient(create_app(ws, options, import_place(settings, ws)), base_url="http://localhost") as opened:
        yield opened


@pytest.fixture
def writer(ws: Workspace) -> dict[str, str]:
    return {"X-API-Key": create_key(ws.warehouse.access, "bot", "write")}


@pytest.fixture
def reader(ws: Workspace) -> dict[str, str]:
    return {"X-API-Key": create_key(ws.warehouse.access, "eye", "read")}


def stored(ws: Workspace) -> list[int]:
    if ws.warehouse.oldest(MARKET) is None:
        return []
    return ws.warehouse.read_candles(MARKET, 0, START + 1_000 * HOUR_MS).open_time_ms.tolist()


def test_a_file_is_stored_listed_and_answered_for(
    ws: Workspace, client: TestClient, writer: dict[str, str], settings: Settings
) -> None:
    tried = client.post(f"{URL}?dry_run=true", headers=writer, content=csv(30)).json()
    assert (tried["is_dry_run"], tried["candles"], tried["candles_written"]) == (True, 30, 0)
    assert "FILE" not in settings.markets.read_text("utf-8"), "nothing is written"

    answer = client.post(f"{URL}?name=a.csv.gz", headers=writer, content=gzip.compress(csv(30)))

    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["market"], said["candles_written"], said["hours_written"]) == ("FILE-EUR_1h", 30, 30)
    assert said["next_command"] == "regime backfill --market FILE-EUR_1h"
    assert [(file["name"], file["rows"]) for file in said["files"]] == [("a.csv.gz", 30)]
    assert stored(ws) == [START + hour * HOUR_MS for hour in range(30)]
    assert "FILE-EUR" in settings.markets.read_text("utf-8")
    assert client.get("/api/candles/FILE-EUR/1h?limit=1").json()["total"] == 30
    again = client.post(URL, headers=writer, content=csv(30)).json()
    assert again["candles_written"] == 0


def test_stored_bars_change_only_with_consent(ws: Workspace, client: TestClient, writer: dict[str, str]) -> None:
    client.post(URL, headers=writer, content=csv(30))

    refused = client.post(URL, headers=writer, content=csv(30, close=12))
    assert (refused.status_code, refused.json()["code"]) == (422, "usage")
    assert "restate" in refused.json()["error"]
    assert "--" not in refused.json()["error"], "a query parameter, not an option of the command line"
    changed = client.post(f"{URL}?restate=true", headers=writer, content=csv(30, close=12))
    assert changed.status_code == 200, changed.text
    assert changed.json()["stored_bars_changed"] == 30


@pytest.mark.parametrize(
    ("query", "body", "code", "said"),
    [
        ("", b"time,open\n1,2\n", "bad_file", "candles.csv"),
        ("", b"", "bad_file", "candles.csv"),
        ("?name=a.zip", b"PK nothing", "bad_file", "a.zip"),
        ("?timezone=CET", csv(3), "usage", "CET"),
        ("?columns=time,open", csv(3), "usage", "columns must name high, low, close, volume once"),
        ("?layout=lean", csv(3), "bad_file", ""),
        ("?nmae=a.csv", csv(3), "malformed", "Did you mean name?"),
        ("?name=../../a.csv", csv(3), "malformed", "name"),
        ("?price_scale=-1", csv(3), "malformed", "price_scale"),
    ],
)
def test_what_is_wrong_is_said_without_a_path_of_ours(
    ws: Workspace, client: TestClient, writer: dict[str, str], query: str, body: bytes, code: str, said: str
) -> None:
    answer = client.post(URL + query, headers=writer, content=body)

    found = answer.json()
    assert (answer.status_code, found["code"]) == (422, code), found
    assert said in found["error"]
    assert "/tmp" not in answer.text
    assert "--" not in answer.text, "parameters, not options of the command line"
    assert stored(ws) == []


def test_candles_outside_the_partitions_are_refused_without_the_home(
    client: TestClient, writer: dict[str, str], settings: Settings
) -> None:
    settings.markets.write_text(MARKETS.format("2030-01-01T00:00:00Z"), "utf-8")
    answer = client.post(URL, headers=writer, content=csv(3))
    assert answer.status_code == 422
    assert "outside the partitions of markets.toml" in answer.json()["error"]
    assert str(settings.home) not in answer.text


def test_only_a_writer_imports_and_a_body_is_read_after_the_key(client: TestClient, reader: dict[str, str]) -> None:
    for headers, status in (({}, 401), ({"X-API-Key": "made up"}, 401), (reader, 403)):
        assert client.post(URL, headers=headers, content=csv(900)).status_code == status, "not 413: nothing was read"


def test_a_file_may_be_larger_than_other_bodies_but_not_endless(client: TestClient, writer: dict[str, str]) -> None:
    assert client.post(URL, headers=writer, content=csv(900)).status_code == 413
    assert client.post("/api/hooks/analyze", headers=writer, content=b" " * 70_000).status_code == 413


def test_one_import_at_a_time(client: TestClient, writer: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, run = threading.Event(), threading.Event(), import_routes.run_import

    def slow(*given: object) -> object:
        begun.set()
        go_on.wait(30)
        return run(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(import_routes, "run_import", slow)
    first = threading.Thread(target=client.post, args=(URL,), kwargs={"headers": writer, "content": csv(30)})
    first.start()
    begun.wait(30)
    busy = client.post(URL, headers=writer, content=csv(30))
    go_on.set()
    first.join()

    assert (busy.status_code, busy.json()["code"], busy.headers["Retry-After"]) == (503, "busy", "5")
    assert client.post(URL, headers=writer, content=csv(30)).status_code == 200
