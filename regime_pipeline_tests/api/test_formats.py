"""Tests of `api.formats`: every form of a large read has the same columns, rows, pages, versions and faults."""

from __future__ import annotations

import re
import sys
from typing import Any

import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.formats import ARROW
from regime_pipeline.cli.serve import api_served
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.served_home import HOURS, hour

REGIMES, VERDICTS, CANDLES = (f"/api/{name}/ETH-USDT/1h" for name in ("data/regime", "verdicts", "candles"))
LISTS = [REGIMES, VERDICTS, CANDLES]
SPAN = {"start": to_iso(hour(300)), "end": to_iso(hour(420)), "limit": 100}
TIMES = ("time", "hour_start", "open_time", "as_of_bar", "known_at")


def table(answer: httpx.Response) -> pa.Table:
    assert answer.headers["Content-Type"] == ARROW
    return pa.ipc.open_stream(answer.content).read_all()


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    body = answer.json()
    return list(body["items"] if isinstance(body, dict) else body)


def columns_of(answer: httpx.Response) -> dict[str, list[Any]]:
    body = answer.json()
    return dict(body.get("items", body))


def plain(name: str, value: Any, of_row: Any) -> Any:
    """A value of an Arrow table as the rows have it: seconds or text for a time, the JSON text of what varies."""
    if name in TIMES and value is not None:
        return int(value.timestamp()) if isinstance(of_row, int) else to_iso(round(value.timestamp() * 1000))
    if name == "factors":
        return [each["sentence"] for each in value]
    return value


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "asked", [SPAN, {"limit": 3}, {"start": to_iso(hour(419) + 1)}], ids=["span", "newest", "none"]
)
def test_every_form_has_the_same_rows(client: TestClient, path: str, asked: dict[str, Any]) -> None:
    rows = rows_of(client.get(path, params=asked))
    columns = columns_of(client.get(path, params={**asked, "format": "columns"}))
    arrow = table(client.get(path, params={**asked, "format": "arrow"}))

    assert "known_at" in columns
    assert [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)] == rows
    assert arrow.column_names == list(columns)
    assert arrow.num_rows == len(rows)
    for row, other in zip(rows, arrow.to_pylist(), strict=True):
        said = {name: plain(name, value, row[name]) for name, value in other.items()}
        factors = {"factors": [each["sentence"] for each in row["factors"]]} if "factors" in row else {}
        assert said == row | factors


@pytest.mark.parametrize("path", LISTS)
def test_columns_have_the_types_that_analysts_expect(client: TestClient, path: str) -> None:
    arrow = table(client.get(path, params={**SPAN, "format": "arrow"}))

    times = {name for name in arrow.column_names if pa.types.is_timestamp(arrow.schema.field(name).type)}
    assert times == {*TIMES} & {*arrow.column_names}
    assert {str(arrow.schema.field(name).type) for name in times} == {"timestamp[ms, tz=UTC]"}
    text = {"regime", "color", "verdict", "direction", "policy_hash"} & {*arrow.column_names}
    assert all(pa.types.is_dictionary(arrow.schema.field(name).type) for name in text)
    frame, polar = arrow.to_pandas(), pl.DataFrame(arrow)
    assert frame["known_at"].dt.tz is not None
    assert (
        polar.height
        == len(frame)
        == len(pd.DataFrame(columns_of(client.get(path, params=SPAN | {"format": "columns"}))))
    )


@pytest.mark.parametrize("form", ["rows", "columns", "arrow"])
@pytest.mark.parametrize("path", LISTS)
def test_every_form_has_versions_and_heads(client: TestClient, path: str, form: str) -> None:
    asked = {**SPAN, "format": form}
    first = client.get(path, params=asked)
    again = client.get(path, params=asked, headers={"If-None-Match": first.headers["ETag"]})
    head = client.head(path, params=asked)

    assert (again.status_code, again.content) == (304, b"")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers[name] == first.headers[name], name
    others = {
        client.get(path, params={**SPAN, "format": other}).headers["ETag"] for other in ("rows", "columns", "arrow")
    }
    assert len(others) == 3, "no form may stand for another in a cache"
    assert client.get(path, params={**asked, "limit": 99}).headers["ETag"] not in others


@pytest.mark.parametrize("path", [VERDICTS, CANDLES])
def test_arrow_goes_on_where_its_link_says(client: TestClient, path: str) -> None:
    address, seen = f"{path}?limit=150&format=arrow", list[Any]()
    for _ in range(3):
        answer = client.get(address)
        assert answer.headers["X-Total-Count"] == "420"
        seen += table(answer)["known_at"].to_pylist()
        if "next" not in answer.links:
            break
        address = answer.links["next"]["url"]

    assert "next" not in answer.links
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 420


@pytest.mark.parametrize("path", LISTS)
def test_without_pyarrow_the_answer_says_what_to_install(
    client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = client.get(path, params={**SPAN, "format": "arrow"})
    body = answer.json()

    assert (answer.status_code, body["code"], body["is_retryable"]) == (501, "not_installed", False)
    assert "pip install 'regime-pipeline[parquet]'" in body["error"]
    assert client.get(path, params={**SPAN, "format": "columns"}).status_code == 200


@pytest.mark.parametrize("path", LISTS)
def test_another_form_is_refused_with_those_there_are(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"format": "csv"})

    assert answer.status_code == 422
    assert "'rows', 'columns' or 'arrow'" in answer.json()["error"]
    document = client.get("/openapi.json").json()["paths"]
    said = document[path.replace("ETH-USDT/1h", "{symbol}/{timeframe}")]["get"]
    assert {"application/json", ARROW} == said["responses"]["200"]["content"].keys()
    assert "501" in said["responses"]


def test_the_example_of_the_documentation_runs(ws: Workspace) -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(from urllib.*?)```", page, re.DOTALL)
    by_column, by_arrow = example.split("frame = pl.")
    names: dict[str, Any] = {}
    with api_served(ws, "127.0.0.1", 0) as address:
        exec(by_column.replace("http://127.0.0.1:8000/", address), names)
        first = names["frame"]
        exec(f"frame = pl.{by_arrow}", names)

    assert (len(first), names["frame"].height) == (HOURS, HOURS)
    assert first.columns.tolist() == names["frame"].columns
    assert first["confidence"].tolist() == pytest.approx(names["frame"]["confidence"].to_list())
