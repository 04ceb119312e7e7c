"""Answers always fit, pages are whole, and a cursor goes on exactly where the page before ended."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.mcp.responses import MAX_BYTES, encode, page, single
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.mcp.fixtures import BTC, QUARTERS, Agent, Desk, RefusalError

pytestmark = pytest.mark.postgres
MARKET = {"symbol": QUARTERS.symbol, "timeframe": QUARTERS.timeframe}


def test_a_page_of_a_large_series_fits_and_says_that_it_was_cut(agent: Agent) -> None:
    text = agent.text("find_periods", **MARKET, limit=200)
    answer = orjson.loads(text)

    one_more = agent.ask("find_periods", **MARKET, limit=1, cursor=answer["next_cursor"])["rows"]
    assert answer["total"] > 3000
    assert 100 < answer["returned"] < 200
    assert answer["truncated"] is True
    assert len(text.encode()) <= MAX_BYTES < len(text.encode()) + len(orjson.dumps(one_more)) + 120


def test_the_default_is_fifty_rows(desk: Desk) -> None:
    assert desk.ask("find_periods", **MARKET)["returned"] == 50


@pytest.mark.parametrize("limit", [1, 37, 200])
@pytest.mark.parametrize(
    ("tool", "key", "filters"),
    [
        ("find_periods", "start", {"regime": "CHOPPY", "start": "2024-05-01T00:00:00+02:00"}),
        ("transition_stats", "time", {"from_regime": "NEUTRAL", "end": "2024-02-01T00:00:00Z"}),
    ],
)
def test_pages_are_the_whole_list_without_doubles(
    desk: Desk, tool: str, key: str, filters: dict[str, str], limit: int
) -> None:
    asked = {**MARKET, **filters, "limit": limit}
    pages = list(desk.pages(tool, **asked)) if limit > 1 else first_pages(desk, tool, asked, 40)
    times = [row[key] for answer in pages for row in answer["rows"]]

    assert times == sorted(set(times))
    assert {answer["total"] for answer in pages} == {pages[0]["total"]}
    assert limit == 1 or len(times) == pages[0]["total"] > 200
    assert all(answer["returned"] == limit or answer["returned"] > 100 for answer in pages[:-1])


def first_pages(desk: Desk, tool: str, asked: dict[str, Any], count: int) -> list[dict[str, Any]]:
    pages = desk.pages(tool, **asked)
    return [next(pages) for _ in range(count)]


def test_pages_of_markets_are_whole(desk: Desk, library: Workspace) -> None:
    rows = desk.every_row("list_markets", limit=1)

    assert [(row["symbol"], row["timeframe"]) for row in rows] == [
        (BTC.symbol, "15m"),
        (BTC.symbol, "1h"),
        ("ETH-USDT", "15m"),
    ]
    assert rows == desk.ask("list_markets")["rows"]
    assert {f"{row['symbol']}_{row['timeframe']}" for row in rows} == {str(m) for m in library.warehouse.markets()}
    assert desk.ask("list_markets", symbol="btcusdt", timeframe="15m")["rows"] == rows[:1]


def test_a_cursor_goes_on_behind_its_row_where_the_list_has_grown_meanwhile(desk: Desk) -> None:
    keys = [f"2024-01-0{day}" for day in range(1, 6)]
    rows = [{"day": key} for key in keys]
    first = page(["q"], keys[:3], lambda a, b: rows[a:b], limit=2, cursor=None, context={})
    grown = page(["q"], keys, lambda a, b: rows[a:b], limit=2, cursor=first["next_cursor"], context={})

    assert [row["day"] for row in first["rows"] + grown["rows"]] == keys[:4]
    assert (first["total"], grown["total"]) == (3, 5)


@pytest.mark.parametrize(
    "other",
    [
        {"regime": "RANGE"},
        {"timeframe": "1h"},
        {"start": "2024-01-01T00:00:00Z"},
    ],
)
def test_a_cursor_of_another_question_is_refused(desk: Desk, other: dict[str, str]) -> None:
    cursor = desk.ask("find_periods", **MARKET, limit=2)["next_cursor"]

    assert desk.ask("find_periods", **MARKET, limit=3, cursor=cursor)["returned"] == 3
    assert desk.ask("find_periods", **{**MARKET, "symbol": "btc_usdt"}, cursor=cursor)["returned"] == 50
    with pytest.raises(RefusalError, match="The cursor is from a different query"):
        desk.ask("find_periods", **{**MARKET, **other}, cursor=cursor)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 9_000), max_size=40),
    limit=st.integers(1, 200),
    context=st.integers(0, 5_000),
)
def test_any_rows_come_whole_in_pages_that_fit(sizes: list[int], limit: int, context: int) -> None:
    keys = [f"{place:05d}" for place in range(len(sizes))]
    rows = [{"text": "é" * (size // 2)} for size in sizes]
    cursor, got = None, []
    while True:
        answer = page(["q"], keys, lambda a, b: rows[a:b], limit=limit, cursor=cursor, context={"note": "x" * context})
        assert len(encode(answer).encode()) <= MAX_BYTES
        assert answer["returned"] == len(answer["rows"]) <= limit
        got += answer["rows"]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        assert answer["returned"]
    assert got == rows


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3_000), max_size=200))
def test_a_single_object_is_cut_until_it_fits(sizes: list[int]) -> None:
    texts = ["ü" * size for size in sizes]
    answer = single({"number": 7, "texts": texts})

    assert len(encode(answer).encode()) <= MAX_BYTES
    assert (answer["number"], answer["total"], answer["returned"], answer["next_cursor"]) == (7, 1, 1, None)
    assert answer["truncated"] == (answer["texts"] != texts)
    assert len(answer["texts"]) == len(texts)
    assert all(whole.startswith(cut.removesuffix("…")) for whole, cut in zip(texts, answer["texts"], strict=True))


def test_the_counts_of_a_page_are_of_the_whole_series(desk: Desk) -> None:
    answer = desk.ask("transition_stats", **MARKET, limit=1)

    assert answer["total"] == sum(row["count"] for row in answer["counts"]) > 3000
