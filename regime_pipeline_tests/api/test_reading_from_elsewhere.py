"""The API as pages of other origins, paths with a slash and long lists meet it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.cli.serve import _origins
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.served_home import HOURS, hour

PAGE = "https://my.site"
FOREIGN = {"Origin": "https://evil.example"}


@pytest.fixture(scope="module")
def open_to_page(ws: Workspace) -> Iterator[TestClient]:
    app = create_app(ws, ApiOptions(cors_origins=(PAGE,)))
    with TestClient(app, base_url="http://localhost") as opened:
        yield opened


def test_pages_of_other_origins_are_refused_by_default(client: TestClient) -> None:
    for headers in (FOREIGN, {"Origin": PAGE}):
        answer = client.get("/api/markets", headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_a_named_origin_may_read_and_ask_before_it_writes(open_to_page: TestClient) -> None:
    answer = open_to_page.get("/api/markets", headers={"Origin": PAGE})
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-API-Key"}
    before = open_to_page.options("/api/grids/ETH-USDT", headers=asked)

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "X-Regime-Source" in answer.headers["access-control-expose-headers"]
    assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, PAGE)
    assert open_to_page.get("/api/markets", headers=FOREIGN).status_code == 403
    assert open_to_page.options("/api/markets", headers={**asked, **FOREIGN}).status_code == 400


def test_origins_are_read_as_browsers_write_them() -> None:
    assert _origins(["", " https://My.Site/ ", "http://[::1]:3000"]) == (PAGE, "http://[::1]:3000")
    for wrong in ("*", "null", "my.site", "https://my.site/page", "ftp://my.site"):
        with pytest.raises(UsageError, match="not an origin"):
            _origins([wrong])


@pytest.mark.parametrize(
    ("form", "plain"),
    [
        ("/api/data/regime/ETH/USDT/1h?limit=3", "/api/data/regime/ETH-USDT/1h?limit=3"),
        ("/api/data/regime/eth/usdt/1h/stats", "/api/data/regime/ETH-USDT/1h/stats"),
        ("/api/data/regime/ETH%2FUSDT/1h?limit=3", "/api/data/regime/ETH-USDT/1h?limit=3"),
        ("/api/candles/ETH/USDT/1h?limit=3", "/api/candles/ETH-USDT/1h?limit=3"),
        ("/api/grids/ETH/USDT", "/api/grids/ETH-USDT"),
        ("/api/grids/ETH/USDT/events", "/api/grids/ETH-USDT/events"),
        ("/api/gates/ETH/USDT", "/api/gates/ETH-USDT"),
    ],
)
def test_a_symbol_may_be_written_with_a_slash(client: TestClient, form: str, plain: str) -> None:
    found, expected = client.get(form).json(), client.get(plain).json()
    drop = ("request_id", "next_url", "start", "end")
    if isinstance(found, dict):
        found, expected = ({k: v for k, v in each.items() if k not in drop} for each in (found, expected))
    assert found == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/data/regime/ETHUSDT/1h/stats", 200),
        ("/api/grids/ETHUSDT/events", 200),
        ("/api/verdicts/ETHUSDT/1h/latest", 200),
        (f"/api/verdicts/ETHUSDT/1h/{to_iso(hour(400))}/explain", 200),
        ("/api/verdicts/ETH/USDT/1h/nothing", 404),
        ("/api/verdicts/ETH/USDT", 422),
    ],
)
def test_paths_with_an_undivided_symbol_mean_what_they_meant(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.parametrize(("kind", "name"), [("verdicts", "hour_start"), ("candles", "time")])
@pytest.mark.parametrize("first", [None, 100])
def test_pages_hold_every_row_once_and_the_same_total(
    client: TestClient, kind: str, name: str, first: int | None
) -> None:
    url: str | None = f"/api/{kind}/ETH-USDT/1h?limit=150" + (f"&start={to_iso(hour(first))}" if first else "")
    seen, totals = [], set()
    while url:
        page = client.get(url).json()
        seen += [item[name] for item in page["items"]]
        totals.add(page["total"])
        url = page["next_url"]

    numbers = range(first or 0, HOURS)
    assert seen == [to_iso(hour(number)) for number in (numbers if first else reversed(numbers))]
    assert totals == {len(numbers)}


def test_regimes_go_forward_from_a_start(client: TestClient) -> None:
    rows = client.get("/api/data/regime/ETH-USDT/1h", params={"start": to_iso(hour(100)), "limit": 3}).json()
    assert [row["time"] * 1000 for row in rows] == [hour(number) for number in (100, 101, 102)]


def test_every_fault_of_a_request_is_named(client: TestClient, writer: dict[str, str]) -> None:
    body = client.get("/api/data/regime/ETH-USDT/1h?limit=abc&start=foo&end=2026-09-01T00:00:00").json()
    assert [fault.partition(":")[0] for fault in body["errors"]] == ["query.start", "query.end", "query.limit"]
    body = client.get("/api/markets?a=1&b=2").json()
    assert [fault[:3] for fault in body["errors"]] == ["'a'", "'b'"]
    wrong = {"version": 0, "why": "try", "grid": {"grid_levels": -1, "lower_price": "x"}}
    body = client.put("/api/grids/ETH-USDT", json=wrong, headers=writer).json()
    assert body["status"] == 422
    assert len(body["errors"]) >= 2
    assert client.get("/api/data/regime/E*H/1h").json()["errors"]


def test_ages_have_one_name_and_keep_the_old_one(client: TestClient) -> None:
    for path in ("/api/markets", "/api/verdicts/ETH-USDT/1h/latest", "/api/verdicts/ETH-USDT/1h/hold"):
        found = client.get(path).json()
        row = found[0] if isinstance(found, list) else found
        assert isinstance(row["data_age_seconds"], int), path
        assert row["data_age_seconds"] == row["data_age_s"], path
