"""The newest state, the reasons of an hour's verdict, and a grid beside the market, against the stored rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms
from regime_pipeline.domain.verdicts.explanation import competing
from regime_pipeline.mcp import verdict_tools
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import verdict_factors
from regime_pipeline.services.queries.advice import advice_at
from regime_pipeline.services.queries.json_records import plain, records
from regime_pipeline.services.queries.overview import overview
from regime_pipeline_tests.factories import START, hours_from_start, simulated_workspace
from regime_pipeline_tests.mcp.fixtures import BTC, CHAIN, MOMENTS, YEAR, Agent, Desk

pytestmark = pytest.mark.postgres
NEWEST = YEAR.end_ms - HOUR_MS


def stored(ws: Workspace, table: str, hour: int = NEWEST) -> dict[str, Any]:
    """The row of an hour as people see it."""
    (row,) = records(ws.warehouse.read_frame(table, BTC, Window.hour(hour)))
    if table == "regime_verdicts":
        (factors,) = verdict_factors(ws, BTC, Window.hour(hour))
        rows = ws.warehouse.read_range(table, BTC, Window.hour(hour))
        row |= {"factors": [factor.document() for factor in factors], "competing": competing(rows)[0]}
    return row


def test_markets_are_listed_with_what_is_stored_of_them(desk: Desk, library: Workspace) -> None:
    quarters, hours, candles_only = desk.ask("list_markets")["rows"]

    verdict = stored(library, "regime_verdicts")
    assert {name: hours[name] for name in ("symbol", "timeframe", "first_candle", "last_close", "as_of")} == {
        "symbol": "BTC-USDT",
        "timeframe": "1h",
        "first_candle": "2023-12-10T00:00:00Z",
        "last_close": "2025-01-10T00:00:00Z",
        "as_of": "2025-01-10T00:00:00Z",
    }
    assert {name: hours[name] for name in ("verdict", "confidence", "hold_24h", "range_low")} == {
        name: verdict[name] for name in ("verdict", "confidence", "hold_24h", "range_low")
    }
    rows = {(row["symbol"], row["timeframe"]): row for row in overview(library)}
    for row in (quarters, hours, candles_only):
        newest = rows[row["symbol"], row["timeframe"]]
        assert {name: value for name, value in row.items() if name != "first_candle"} == newest
    assert (quarters["verdict"], quarters["grid"] != "none") == (None, True)
    assert (candles_only["verdict"], candles_only["grid"]) == (None, "none")


def test_the_current_regime_is_the_newest_row_of_each_family(desk: Desk, library: Workspace) -> None:
    answer = Desk(replace(library, clock=lambda: YEAR.end_ms + 90_000)).ask("current_regime", symbol="BTCUSDT")
    verdict, scores = stored(library, "regime_verdicts"), stored(library, "scores")
    candle = records(library.warehouse.read_frame("candle_regime", BTC, Window.hour(NEWEST)))[0]
    said, regime = answer["verdict"], answer["candle_regime"]

    for name in ("verdict", "confidence", "direction", "dominant_risk", "competing", "completeness", "consensus"):
        assert said[name] == verdict[name]
    assert said["scores"] == {name: scores[name] for name in said["scores"]}
    assert len(said["scores"]) == 5
    assert said["range"] == {name: verdict[f"range_{name}"] for name in ("low", "high", "confidence")}
    assert said["factors"] == [factor["sentence"] for factor in verdict["factors"]]
    assert said["reason"] in said["factors"]
    assert (said["hour_start"], said["hour_end"]) == ("2025-01-09T23:00:00Z", "2025-01-10T00:00:00Z")
    assert (said["data_age_seconds"], regime["data_age_seconds"], said["stale"]) == (90, 90, None)
    assert {name: regime[name] for name in candle if name in regime} == {
        name: value for name, value in candle.items() if name in regime
    }
    newest = desk.every_row("find_periods", symbol="BTC-USDT", start="2024-12-01T00:00:00Z")[-1]
    assert (regime["since"], regime["candles_since"], regime["simplified_regime"]) == (
        newest["start"],
        newest["candles"],
        newest["regime"],
    )


def test_a_market_without_verdicts_says_so(desk: Desk) -> None:
    answer = desk.ask("current_regime", symbol="ETH-USDT", timeframe="15m")

    assert answer["verdict"] is None
    assert answer["candle_regime"]["source"] == "computed"


@pytest.mark.parametrize("first", [1, 2, 7])
def test_a_regime_that_holds_for_long_is_followed_back_to_its_first_candle(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    expected = desk.ask("current_regime", symbol="BTC-USDT")["candle_regime"]
    monkeypatch.setattr(verdict_tools, "_LOOKBACKS", (first, 2 * first, 2**31 - 1))

    assert desk.ask("current_regime", symbol="BTC-USDT")["candle_regime"] == expected


def test_a_young_market_and_one_without_a_candle(database_url: str, tmp_path: Path) -> None:
    young, bare = Market("ALFA-USDT", "1h"), Market("BETA-USDT", "1h")
    with simulated_workspace(database_url, tmp_path, [young, bare]) as workspace:
        STAGES[0].run(workspace, workspace.start_run(""), young, hours_from_start(0, 50))
        workspace.warehouse.series_id(bare, venue="simulated", price_scale=100)
        desk = Desk(workspace)
        regime = desk.ask("current_regime", symbol="ALFA-USDT")["candle_regime"]
        nothing = desk.ask("current_regime", symbol="BETA-USDT")
        listed = desk.ask("list_markets")["rows"]

        assert (regime["simplified_regime"], regime["since"]) == ("UNDEFINED", to_iso(START))
        assert regime["candles_since"] == desk.ask("find_periods", symbol="ALFA-USDT")["candles"]
        assert (nothing["candle_regime"], nothing["verdict"]) == (None, None)
        assert [row["last_close"] is None for row in listed] == [False, True]
        assert "stored is nothing" in desk.ask("find_periods", symbol="BETA-USDT")["note"]


@pytest.mark.parametrize(
    "time", ["2025-01-09T12:00:00Z", "2025-01-09T12:59:59.999Z", "2025-01-09T14:30:00+02:00", "2024-12-27T00:00:00Z"]
)
def test_an_explanation_is_the_stored_verdict_of_the_hour(agent: Agent, library: Workspace, time: str) -> None:
    hour = to_ms(time) // HOUR_MS * HOUR_MS
    verdict = stored(library, "regime_verdicts", hour)

    answer = agent.ask("explain_verdict", symbol="BTC-USDT", time=time)

    assert answer["hour_start"] == to_iso(hour)
    for name in ("verdict", "confidence", "competing", "factors", "policy_hash"):
        assert answer[name] == verdict[name]
    decided = [factor["sentence"] for factor in answer["factors"] if factor["outcome"] == "decided"]
    assert decided == [answer["reason"]]
    assert answer["stale"] is None


def test_a_verdict_that_no_longer_holds_says_why(library: Workspace) -> None:
    policy = library.policy.model_copy(
        update={"verdict": library.policy.verdict.model_copy(update={"risk_from": 65.0})}
    )
    answer = Desk(replace(library, policy=policy)).ask("current_regime", symbol="BTC-USDT")

    assert answer["verdict"]["stale"] == ("Another policy wrote this row; bring it up to date with `regime backfill`.")


def test_the_newest_grid_is_compared_with_the_newest_range(agent: Agent, library: Workspace) -> None:
    answer = agent.ask("compare_grid", symbol="BTC-USDT")
    history = library.warehouse.grids.history(BTC.symbol)
    verdict, features = stored(library, "regime_verdicts"), stored(library, "features")
    lower, upper = float(history[-1].lower), float(history[-1].upper)
    low, high = verdict["range_low"], verdict["range_high"]
    shared = max(min(high, upper) - max(low, lower), 0.0)
    found = answer["comparison"]

    assert answer["configured"]["version"] == 3
    assert answer["configured"]["lower"] == format(history[-1].lower, "f")
    assert answer["hour_start"] == "2025-01-09T23:00:00Z"
    assert answer["discovered"]["range"] == {"low": low, "high": high, "confidence": verdict["range_confidence"]}
    assert found["iou"] == pytest.approx(shared / ((high - low) + (upper - lower) - shared))
    assert found["lower_offset_atr"] == pytest.approx((low - lower) / features["atr"])
    assert found["upper_offset_atr"] == pytest.approx((high - upper) / features["atr"])
    assert found["is_close_inside_grid"] == (lower <= features["close"] <= upper)
    assert answer["advice"]["config_version"] == 2
    assert answer["advice"]["is_of_configured_version"] is False
    assert answer["advice"]["stale"] == (
        "Older than a change (grid version 3); bring it up to date with `regime backfill`."
    )


def test_an_earlier_hour_has_its_own_version_advice_and_gates(desk: Desk, library: Workspace) -> None:
    hour = MOMENTS["stopped"] + 5 * HOUR_MS
    answer = desk.ask("compare_grid", symbol="BTC-USDT", time=to_iso(hour + 1))
    row = {name: plain(value) for name, value in (advice_at(library, BTC, hour) or {}).items()}
    found, advice = answer["comparison"], answer["advice"]

    assert (answer["configured"]["version"], answer["configured"]["enabled"]) == (2, False)
    for name in ("iou", "lower_offset_atr", "upper_offset_atr", "configured_net_gain_bps"):
        assert found[name] == row[name]
    assert (found["configured_capacity"], found["discovered_capacity"]) == (row["capacity_then"], row["capacity_now"])
    assert found["discovered_levels"] == row["capacity_levels_now"]
    assert found["discovered_net_gain_bps"] == row["capacity_net_gain_now_bps"]
    for name in ("action", "status", "is_actionable", "inventory", "proposed_lower", "config_version"):
        assert advice[name] == row[name]
    assert [reason["sentence"] for reason in advice["reasons"]] == [reason["sentence"] for reason in row["reasons"]]
    assert advice["gates"] == {name: row[name] for name in advice["gates"]}
    assert advice["gates"]["gate_state"].startswith("GATE_")
    assert advice["gates"]["stopped_at"] == to_iso(MOMENTS["stopped"])
    assert len(advice["gates"]["gate_checks"]) >= 3
    assert (advice["is_of_configured_version"], advice["stale"]) == (True, None)


def test_advice_is_stale_from_the_hour_that_closes_when_the_grid_changed(desk: Desk) -> None:
    def is_stale(hour: int) -> bool:
        return desk.ask("compare_grid", symbol="BTC-USDT", time=to_iso(hour))["advice"]["stale"] is not None

    closing = MOMENTS["moved"] - HOUR_MS
    assert [is_stale(closing + hours * HOUR_MS) for hours in (-1, 0, 1, 2)] == [False, True, True, True]


def test_an_hour_without_a_range_has_no_comparison_but_a_grid(desk: Desk, library: Workspace) -> None:
    starts = library.warehouse.read_range("regime_verdicts", BTC, CHAIN, ["hour_start", "range_low"])
    known = starts["hour_start"] + HOUR_MS >= MOMENTS["made"]
    hours = starts["hour_start"][known & np.isnan(starts["range_low"])]
    assert len(hours)

    found = desk.ask("compare_grid", symbol="BTC-USDT", time=to_iso(int(hours[0])))["comparison"]

    assert (found["iou"], found["discovered_levels"], found["discovered_capacity"]) == (None, None, None)
    assert found["configured_net_gain_bps"] > 0
