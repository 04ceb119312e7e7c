"""Whatever a caller does wrong comes back as a sentence that says what to do, over every transport."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.mcp import server
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.factories import simulated_workspace
from regime_pipeline_tests.mcp.fixtures import Agent, Desk, RefusalError

pytestmark = pytest.mark.postgres
BTC = {"symbol": "BTC-USDT"}
HOUR = "2025-01-09T12:00:00Z"
REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("find_periods", {"symbol": "BTX-USDT"}, "'BTX-USDT' is not a stored symbol.", "Near names: BTC-USDT"),
    ("find_periods", {"symbol": "ETH"}, "'ETH' is not a stored symbol.", "Near names: ETH-USDT."),
    ("find_periods", {"symbol": "ETH-EUR"}, "'ETH-EUR' is not a stored symbol.", "Near names: ETH-USDT"),
    ("find_periods", {"symbol": "QQQQ"}, "'QQQQ' is not a stored symbol.", "Ask list_markets"),
    ("list_markets", {"symbol": "ETC-USDT"}, "'ETC-USDT' is not a stored symbol.", "ETH-USDT"),
    (
        "list_markets",
        {"timeframe": "6h"},
        "'6h' is not a timeframe.",
        "Use one of 1m, 3m, 5m, 15m, 30m, 1h, 2h,",
    ),
    ("current_regime", {**BTC, "timeframe": "6h"}, "'6h' is not a timeframe.", "Use one of 1m,"),
    ("current_regime", {**BTC, "timeframe": "4h"}, "BTC-USDT is not stored on 4h.", "Use one of 15m, 1h."),
    ("find_periods", {**BTC, "start": "2024-01-01"}, "start: The time '2024-01-01' has no offset.", "Add one"),
    ("confidence_stats", {**BTC, "end": "2024-01-01T00:00:00"}, "end: The time", "has no offset. Add one"),
    ("explain_verdict", {**BTC, "time": "2024-01-01T00:00:00"}, "time: The time", "has no offset. Add one"),
    ("compare_grid", {**BTC, "time": "2024-01-01T00:00:00"}, "time: The time", "has no offset. Add one"),
    ("explain_verdict", {**BTC, "time": "noon"}, "time: 'noon' is not a time.", "Write ISO-8601"),
    ("explain_verdict", {**BTC, "time": "1969-12-31T23:59:59Z"}, "is out of range.", "between 1970 and 2100"),
    ("find_periods", {**BTC, "end": "2100-01-02T00:00:00Z"}, "is out of range.", "between 1970 and 2100"),
    (
        "regime_performance",
        {**BTC, "start": HOUR, "end": HOUR},
        f"The span from {HOUR} to {HOUR} is empty.",
        "Give a start before the end.",
    ),
    ("find_periods", {**BTC, "cursor": "x"}, "The cursor is from a different query.", "leave cursor out"),
    (
        "find_periods",
        {**BTC, "cursor": "2024-01-01T00:00:00Z~00"},
        "The cursor is from a different query",
        "next_cursor",
    ),
    ("find_periods", {**BTC, "regime": "TREND_UPP"}, "'TREND_UPP' is not a candle regime (near: TREND_UP).", "CHOPPY"),
    ("transition_stats", {**BTC, "to_regime": "BULL"}, "'BULL' is not a candle regime.", "TREND_UP, TREND_DOWN, RANGE"),
    ("transition_stats", {**BTC, "from_regime": "TREND"}, "is an hourly verdict", "Use one of UNDEFINED, TREND_UP"),
    ("confidence_stats", {**BTC, "regime": "BULL"}, "'BULL' is not a candle regime.", "Use one of"),
    ("find_periods", {}, "symbol is missing.", "find_periods takes symbol, timeframe, start, end, limit, cursor"),
    ("find_periods", {**BTC, "limit": 201}, "limit is 201: input should be less than or equal to 200.", "takes"),
    ("find_periods", {**BTC, "limit": 0}, "limit is 0: input should be greater than", "takes"),
    ("current_regime", {**BTC, "when": "now"}, "'when' is not an argument.", "current_regime takes symbol, timeframe."),
    ("current_regime", {"symbol": 7}, "symbol is 7: input should be a valid string.", "takes"),
    ("explain_verdict", {**BTC, "time": "2023-01-01T00:00:00Z"}, "BTC-USDT_1h has no verdict", "Ask for a time from"),
    ("compare_grid", {**BTC, "time": "2026-01-01T00:00:00Z"}, "BTC-USDT_1h has no verdict", "Ask for a time from"),
    ("compare_grid", {**BTC, "time": "2024-12-26T00:00:00Z"}, "did not exist at", "Its first version is valid from"),
    (
        "explain_verdict",
        {"symbol": "ETH-USDT", "timeframe": "15m", "time": HOUR},
        "ETH-USDT_15m has no verdict for the hour of 2025-01-09T12:00:00Z.",
        "It has none at all",
    ),
    ("compare_grid", {**BTC, "timeframe": "15m"}, "BTC-USDT_15m has no verdict", "It has none at all"),
    ("compare_grid", {"symbol": "ETH-USDT", "timeframe": "15m"}, "ETH-USDT has no grid", "regime grid set ETH-USDT"),
    ("delete_markets", {}, "There is no tool 'delete_markets'.", "Use one of list_markets, current_regime"),
]


@pytest.mark.parametrize(("tool", "arguments", "what", "todo"), REFUSALS)
def test_a_mistake_is_a_sentence(agent: Agent, tool: str, arguments: dict[str, Any], what: str, todo: str) -> None:
    with pytest.raises(RefusalError) as refused:
        agent.text(tool, **arguments)

    said = str(refused.value)
    assert what in said
    assert todo in said
    assert "\n" not in said
    assert len(said) < 500


@pytest.mark.parametrize("name", ["symbol", "timeframe", "start", "regime", "cursor"])
def test_no_refusal_repeats_a_long_argument(desk: Desk, name: str) -> None:
    with pytest.raises(RefusalError) as refused:
        desk.text("find_periods", **{**BTC, name: "x" * 100_000})

    assert len(str(refused.value)) < 300


def test_an_empty_database_says_what_to_do_first(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, []) as workspace:
        desk = Desk(workspace)
        assert desk.ask("list_markets")["rows"] == []
        with pytest.raises(RefusalError, match=r"No market is stored\. Import or materialize one first"):
            desk.ask("current_regime", symbol="BTC-USDT")


def test_a_failure_of_ours_is_logged_and_never_shown(library: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> int:
        raise ZeroDivisionError("secret")

    with caplog.at_level(logging.ERROR, logger=server.__name__):
        result = server.answer(replace(library, clock=broken), "list_markets", {})

    assert result.is_error
    assert result.content[0].text == "list_markets failed inside the server; its log says why."
    assert "ZeroDivisionError: secret" in caplog.text


def test_a_database_that_is_gone_is_a_sentence(library: Workspace) -> None:
    def gone() -> int:
        raise StorageError("The database went away.", "Start it.")

    result = server.answer(replace(library, clock=gone), "list_markets", {})

    assert (result.is_error, result.content[0].text) == (True, "The database went away. Start it.")
