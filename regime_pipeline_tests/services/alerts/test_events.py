"""Tests of `services.alerts.events`: every kind of alert in one sentence with numbers, found again by the same id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.services.alerts.events import alerts_of
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import stop_grid
from regime_pipeline_tests.services.alerts.market import ALFA, END, HOURS, alfa, change


@pytest.fixture
def ws(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with alfa(database_url, tmp_path) as opened:
        yield opened


def sent(ws: Workspace, stale_minutes: int = 120) -> list[tuple[str, str]]:
    return [(alert.event, alert.message) for alert in alerts_of(ws, ALFA, stale_minutes)]


def test_a_quiet_market_gives_no_alert(ws: Workspace) -> None:
    assert sent(ws) == []


def test_verdict_changes_are_sent_with_the_confidence(ws: Workspace) -> None:
    change(ws, "regime_verdicts", 40, 41, verdict="TREND", confidence=0.42)
    found = alerts_of(ws, ALFA, 120)

    assert [alert.message for alert in found] == [
        "ALFA-USDT 1h: RANGE_OK became TREND at 2026-09-02T17:00:00Z, confidence 0.42.",
        "ALFA-USDT 1h: TREND became RANGE_OK at 2026-09-02T18:00:00Z, confidence 0.50.",
    ]
    assert [alert.at_ms for alert in found] == [END - 7 * HOUR_MS, END - 6 * HOUR_MS]
    assert found == alerts_of(ws, ALFA, 120)


def test_the_last_day_alone_is_sent(ws: Workspace) -> None:
    change(ws, "regime_verdicts", 0, HOURS - 25, verdict="TREND")
    assert sent(ws) == []
    change(ws, "regime_verdicts", 0, HOURS - 24, verdict="TREND")
    assert [event for event, _ in sent(ws)] == ["verdict"]


def test_a_stop_says_who_and_why(ws: Workspace) -> None:
    stop_grid(ws, ALFA.symbol, who="ada", why="news of a fork.")
    assert sent(ws) == [
        ("stop", "ALFA-USDT: the grid was stopped at 2026-09-03T00:01:00Z by ada, MANUAL: news of a fork.")
    ]


def test_a_permission_is_sent_when_it_begins(ws: Workspace) -> None:
    change(ws, "grid_advice", 44, HOURS, gate_state="PERMITTED", gate_bars=31)
    assert sent(ws) == [
        ("permit", "ALFA-USDT 1h: a fresh grid is permitted from 2026-09-02T21:00:00Z, 31 bars after the stop.")
    ]


@pytest.mark.parametrize(
    ("close", "said"),
    [
        (1_900.5, "the price 1,900.5 is 5.0% below the grid 2,000 to 2,500 (version 1) since 2026-09-02T21:00:00Z."),
        (2_750.0, "the price 2,750 is 10.0% above the grid 2,000 to 2,500 (version 1) since 2026-09-02T21:00:00Z."),
    ],
)
def test_a_price_that_leaves_the_enabled_grid_is_sent_once(ws: Workspace, close: float, said: str) -> None:
    change(ws, "grid_advice", 44, HOURS, close=close)
    assert sent(ws) == [("outside", f"ALFA-USDT 1h: {said}")]
    change(ws, "grid_advice", 46, 47, close=2_200.0)
    assert [event for event, _ in sent(ws)] == ["outside", "outside"]  # it came back and left again


@pytest.mark.parametrize("values", [{"enabled": False}, {"config_version": 0}, {"close": 2_500.0}, {"close": 2_000.0}])
def test_no_grid_a_disabled_one_and_its_edges_are_not_outside(ws: Workspace, values: dict[str, object]) -> None:
    change(ws, "grid_advice", 44, HOURS, **{"close": 1_000.0, **values})
    assert sent(ws) == []


@pytest.mark.parametrize(("late_minutes", "is_sent"), [(119, False), (120, True), (1_500, True)])
def test_data_too_old_is_sent_once_for_each_standstill(ws: Workspace, late_minutes: int, is_sent: bool) -> None:
    later = replace(ws, clock=lambda: END + HOUR_MS + late_minutes * 60_000)
    wanted = (
        "ALFA-USDT 1h: the newest candle closed at 2026-09-03T00:00:00Z, and the next is "
        f"{late_minutes:,} minutes late (limit 120)."
    )
    assert sent(later) == ([("stale", wanted)] if is_sent else [])
    again = replace(later, clock=lambda: later.clock() + HOUR_MS)
    ids = {alert.alert_id for each in (later, again) for alert in alerts_of(each, ALFA, 120)}
    assert ids == {"stale ALFA-USDT_1h 2026-09-03T00:00:00Z"} or not is_sent


def test_data_is_not_old_where_nothing_more_is_expected(ws: Workspace) -> None:
    specs = ws.universe.specs
    late = replace(ws, clock=lambda: END + 100 * HOUR_MS)
    for universe in (
        replace(ws.universe, specs=tuple(replace(spec, source="files") for spec in specs)),
        replace(ws.universe, specs=tuple(replace(spec, until_ms=END) for spec in specs)),
        replace(ws.universe, end_ms=END),
    ):
        assert sent(replace(late, universe=universe)) == []


def test_a_market_without_rows_gives_no_alert(ws: Workspace) -> None:
    bravo = replace(ALFA, symbol="BRAVO-USDT")
    specs = (*ws.universe.specs, replace(ws.universe.specs[0], market=bravo))
    assert alerts_of(replace(ws, universe=replace(ws.universe, specs=specs)), bravo, 120) == []
