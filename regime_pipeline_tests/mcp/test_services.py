"""The tools say what `services.regimes` says: the same numbers, filtered, paged, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso, to_ms
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries import candle_regimes as regimes
from regime_pipeline.services.queries.candle_regimes import RegimeSeries
from regime_pipeline_tests.mcp.fixtures import BTC, ETH, Desk

pytestmark = pytest.mark.postgres
SPANS = [
    {},
    {"start": "2024-06-01T00:30:00Z"},
    {"start": "2024-06-01T00:00:00+02:00", "end": "2024-06-15T00:00:00Z"},
    {"start": "2023-01-01T00:00:00Z", "end": "2023-02-01T00:00:00Z"},
]
MARKETS = [BTC, ETH]


@pytest.fixture(params=MARKETS, ids=str)
def market(request: pytest.FixtureRequest) -> Market:
    return Market.parse(str(request.param))


@pytest.fixture(params=SPANS, ids=["all", "from", "fortnight", "nothing"])
def span(request: pytest.FixtureRequest) -> dict[str, str]:
    return dict(request.param)


@pytest.fixture
def asked(market: Market, span: dict[str, str]) -> dict[str, str]:
    return {"symbol": market.symbol, "timeframe": market.timeframe, **span}


@pytest.fixture
def series(library: Workspace, market: Market, span: dict[str, str]) -> RegimeSeries:
    ends = (span.get("start", "1970-01-01T00:00:00Z"), span.get("end", "2100-01-01T00:00:00Z"))
    return regimes.regime_series(library, market, *map(to_ms, ends))


def head(series: RegimeSeries) -> dict[str, Any]:
    """What every answer on a series begins with."""
    stats = regimes.regime_stats(series)
    return {name: stats[name] for name in ("symbol", "timeframe", "candles", "start", "end")}


@pytest.mark.parametrize("regime", ["", *SIMPLIFIED])
def test_periods(desk: Desk, series: RegimeSeries, asked: dict[str, str], regime: str) -> None:
    found = regimes.regime_periods(series, regime)

    rows = desk.every_row("find_periods", **asked, regime=regime or None, limit=200)

    assert [row["start"] for row in rows] == [to_iso(start) for start in found.start_ms.tolist()]
    assert [row["end"] for row in rows] == [to_iso(end) for end in found.end_ms.tolist()]
    assert [row["regime"] for row in rows] == [SIMPLIFIED[code] for code in found.regime]
    assert [row["candles"] for row in rows] == found.candles.tolist()
    assert [row["mean_confidence"] for row in rows] == found.mean_confidence.tolist()
    assert [row["hours"] for row in rows] == (found.candles * series.market.step_ms / 3_600_000).tolist()


@pytest.mark.parametrize(("before", "after"), [("", ""), ("RANGE", ""), ("", "TREND_UP"), ("NEUTRAL", "RANGE")])
def test_transitions(desk: Desk, series: RegimeSeries, asked: dict[str, str], before: str, after: str) -> None:
    pages = list(desk.pages("transition_stats", **asked, from_regime=before, to_regime=after, limit=200))

    assert [row for answer in pages for row in answer["rows"]] == regimes.transition_events(series, before, after)
    counts = regimes.transition_shares(series)["transitions"]
    chosen = [row for row in counts if before in ("", row["from"]) and after in ("", row["to"])]
    assert all(answer["counts"] == chosen for answer in pages)
    assert pages[0]["total"] == sum(row["count"] for row in chosen)
    assert {name: pages[0][name] for name in head(series)} == head(series)


def test_confidence(desk: Desk, series: RegimeSeries, asked: dict[str, str]) -> None:
    expected = regimes.confidence_stats(series)

    found = desk.ask("confidence_stats", **asked)
    one = desk.ask("confidence_stats", **asked, regime="trend down")

    assert {name: found[name] for name in expected} == expected
    assert one["regimes"] == {"TREND_DOWN": expected["regimes"]["TREND_DOWN"]}
    assert one["all"] == expected["all"]


def test_performance(desk: Desk, library: Workspace, series: RegimeSeries, asked: dict[str, str]) -> None:
    returns = regimes.regime_performance(library, series)["regimes"]
    stats = regimes.regime_stats(series)["regimes"]

    found = desk.ask("regime_performance", **asked)
    one = desk.ask("regime_performance", **asked, regime="RANGE")

    assert {name: found[name] for name in head(series)} == head(series)
    assert list(found["regimes"]) == list(SIMPLIFIED)
    for name, row in found["regimes"].items():
        assert row.pop("bar_after") == returns.get(name)
        assert row == {field: value for field, value in stats[name].items() if field != "color"}
    assert set(one["regimes"]) == {"RANGE"}


def test_where_regimes_come_from_is_said(desk: Desk, library: Workspace) -> None:
    other = library.policy.candle_regime.model_copy(update={"adx_trend_from": 60.0})
    elsewhere = Desk(replace(library, policy=library.policy.model_copy(update={"candle_regime": other})))
    stored = {"symbol": "BTC-USDT", "start": "2024-12-01T00:00:00Z"}

    assert desk.ask("find_periods", **stored)["source"] == "stored"
    assert elsewhere.ask("find_periods", **stored)["source"] == "computed"
    assert desk.ask("find_periods", symbol="ETH-USDT", timeframe="15m")["source"] == "computed"


def test_an_empty_span_says_what_is_stored(desk: Desk) -> None:
    answer = desk.ask("find_periods", symbol="BTC-USDT", end="2020-01-01T00:00:00Z")

    assert (answer["total"], answer["candles"], answer["start"], answer["rows"]) == (0, 0, None, [])
    assert answer["note"] == ("No candle opens in this span; stored is 2023-12-10T00:00:00Z to 2025-01-10T00:00:00Z.")
