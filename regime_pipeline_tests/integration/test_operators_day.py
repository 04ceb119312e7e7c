"""A stop and the way back, as an operator lives it: every step through a face, and one story in all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from regime_pipeline.api.app import create_app
from regime_pipeline.api.auth import create_key
from regime_pipeline.cli import gates as cli_gates
from regime_pipeline.cli import grid as cli_grid
from regime_pipeline.cli import status as cli_status
from regime_pipeline.dashboard.build import market_rows
from regime_pipeline.dashboard.data.grid_history import shown_events
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import Spans
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.restart_gates.machine import RestartRefusedError
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import import_history, stop_grid, update_grid
from regime_pipeline.services.queries.grid_events import KINDS, grid_log
from regime_pipeline.services.queries.overview import overview
from regime_pipeline.sources.base import Fetched
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.domain.grids.factories import FIELDS
from regime_pipeline_tests.factories import START, run_stages, simulated_workspace
from regime_pipeline_tests.mcp.fixtures import Desk

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
MARKET = Market("ALFA-USDT", "1h")
CALM, MOVE, QUIET = 400, 30, 150
"""Hours of a range, of the move that ends it, and of the new range until it grows quiet."""
ENABLED, BROKEN = 395, 408
GRID = {
    **{name: value for name, value in FIELDS.items() if name not in ("version", "valid_from", "reason", "who")},
    "symbol": MARKET.symbol,
    "enabled": False,
    "lower": "96",
    "upper": "104",
    "levels": 8,
    "limit_lower": None,
    "limit_upper": None,
    "allocation_quote": "10000",
    "maker_fee_bps": "2",
}


def prices(hours: int, seed: int = 10) -> Candles:
    """A range around 100, a rise of thirty hours, and a range around where it ended, which grows quiet."""
    random = np.random.default_rng(seed)
    path, center, sigma = np.zeros(hours + 1), 0.0, 0.004
    for row in range(hours):
        shock = sigma * random.standard_normal()
        if CALM <= row < CALM + MOVE:
            path[row + 1] = path[row] + 0.0035 + 0.6 * shock
            continue
        center = path[row] if row == CALM + MOVE else center
        is_quiet = row >= CALM + MOVE + QUIET
        pull, share = (0.25, 0.45) if is_quiet else (0.12, 1.0)
        path[row + 1] = path[row] - pull * (path[row] - center) + share * shock
    level = 100 * np.exp(path)
    wick = 0.0015 * np.abs(random.standard_normal((2, hours)))
    opened, closed = level[:-1], level[1:]
    high, low = np.maximum(opened, closed) * (1 + wick[0]), np.minimum(opened, closed) * (1 - wick[1])
    times = START + np.arange(hours, dtype=np.int64) * HOUR_MS
    columns = [np.rint(column * 100) / 100 for column in (opened, high, low, closed)]
    return Candles.from_prices(MARKET, 100, times, columns, np.full(hours, 50.0))


@dataclass(frozen=True)
class Recorded:
    """A source that knows given candles, closed by a clock."""

    candles: Candles
    clock: Callable[[], int]
    venue: str = "recorded"

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        known = self.candles.between(start_ms, end_ms).closed_by(self.clock())
        covered: Spans = ((start_ms, min(end_ms, self.clock())),)
        return Fetched(known, covered)

    def newest_closed_ms(self, market: Market) -> int | None:
        return self.clock() // HOUR_MS * HOUR_MS


class Day:
    """The installation while time goes on."""

    def __init__(self, ws: Workspace, now: list[int]) -> None:
        self.ws, self._now = ws, now

    def at(self, hour: int, seconds: int = 30) -> Day:
        """Let the hours up to this one close, and the chain take them up as the hourly sensor would."""
        first = (self.ws.warehouse.last_partition("dashboard_hours", MARKET) or START - HOUR_MS) + HOUR_MS
        self._now[0] = START + hour * HOUR_MS + seconds * 1000
        if first < START + hour * HOUR_MS:
            run_stages(self.ws, MARKET, [Window(first, START + hour * HOUR_MS)])
        return self

    def later(self, seconds: int) -> None:
        self._now[0] += seconds * 1000

    def row(self) -> dict[str, Any]:
        (found,) = overview(self.ws)
        return found


@pytest.fixture
def day(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    now = [START + HOUR_MS]
    source = Recorded(prices(760), lambda: now[0])
    with simulated_workspace(database_url, tmp_path, [MARKET], source=source, clock=lambda: now[0]) as ws:
        live = replace(ws, universe=replace(ws.universe, end_ms=None))

        @contextmanager
        def opened(_: object) -> Iterator[Workspace]:
            yield live

        for module in (cli_gates, cli_grid, cli_status):
            monkeypatch.setattr(module, "open_workspace", opened)
        monkeypatch.setenv("COLUMNS", "200")
        yield Day(live, now)


def test_a_stop_and_the_way_back(day: Day, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert regime(monkeypatch, *words) == code, capsys.readouterr().err
        found = capsys.readouterr()
        return " ".join((found.out + found.err).split())

    ws = day.at(ENABLED).ws
    update_grid(ws, MARKET.symbol, GRID, expected_version=0, who="ada", why="a first grid")
    day.later(1)
    assert "enabled" in said("grid", "set", "ALFA-USDT", "enabled=true", "--on-version", "1", "--why", "it ranges")
    assert day.row()["grid"] == "enabled"

    # The range breaks: the price is outside the grid, and no face is calm about it.
    day.at(BROKEN)
    row = day.row()
    while row["grid_position"] == "inside":
        day.at(int(ws.clock() - START) // HOUR_MS + 1)
        row = day.row()
    left = int(ws.clock() - START) // HOUR_MS
    day.at(left + 1)
    row = day.row()
    assert (row["attention"], row["grid_position"], row["action"]) == ("OUTSIDE", "above", "STOP_PLACING")
    assert row["outside_since"] == to_iso(START + left * HOUR_MS)
    assert row["edge_distance_pct"] < 0
    assert row["edge_distance_atr"] < 0
    assert "is above its grid 96 to 104 by" in said("status")
    assert "STOP closes in a row outside: 2 (at least 2)" in said("gates", "check", "ALFA-USDT", "--stop", code=3)

    # The stop shows at once, before the next hour closes.
    assert (day.row()["grid"], day.row()["gate_state"]) == ("stopped", "GATE_1")
    assert day.row()["stopped_by"] == "quick stops"
    for words in (("gates", "show", "ALFA-USDT"), ("grid", "advice", "ALFA-USDT")):
        assert "by quick stops (" in said(*words)
    desk = Desk(ws)
    assert "CLOSES_OUTSIDE" in desk.ask("compare_grid", symbol="ALFA-USDT")["stop"]["stop"]["cause"]
    writer = {"X-API-Key": create_key(ws.warehouse.access, "bot", "write")}
    with TestClient(create_app(ws), base_url="http://localhost") as client:
        assert client.get("/api/grids/ALFA-USDT").json()["stop"]["who"] == "quick stops"
        assert client.get("/api/gates/ALFA-USDT").json()["current"]["gate_state"] == "GATE_1"

        # Nobody enables it by accident, through whatever door.
        day.at(left + 3)
        again = {"version": 3, "why": "impatient", "grid": {"enabled": True}}
        refused = client.put("/api/grids/ALFA-USDT", headers=writer, json=again)
        assert (refused.status_code, refused.json()["code"]) == (409, "restart_refused")
        assert "its restart gates wait at gate 1 after" in refused.json()["error"]
        assert client.post("/api/gates/ALFA-USDT/restart", headers=writer, json={"why": "x"}).status_code == 409
    history = ws.warehouse.grids.history("ALFA-USDT")
    with pytest.raises(RestartRefusedError, match="wait at gate 1"):
        update_grid(ws, "ALFA-USDT", {"enabled": True}, expected_version=3, who="ada", why="impatient")
    fourth = history[-1].model_copy(update={"version": 4, "supersedes": 3, "enabled": True, "valid_from": _after(ws)})
    with pytest.raises(RestartRefusedError, match="wait at gate 1"):
        import_history(ws, (*history, fourth))
    text = said("grid", "set", "ALFA-USDT", "enabled=true", "--on-version", "3", "--why", "impatient", code=2)
    assert "override explicitly" in text
    assert "wait at gate 1" in said("gates", "restart", "ALFA-USDT", code=2)
    assert len(ws.warehouse.grids.history("ALFA-USDT")) == 3

    # The gates pass; the permission lasts its bars and says until when.
    hour = CALM + MOVE + 24
    while day.at(hour).row()["attention"] != "RESTART":
        assert day.row()["gate_state"].startswith(("GATE", "PASSED"))
        hour += 1
        assert hour < 700
    permitted = day.row()["permitted_until"]
    assert permitted == to_iso(START + (hour + 6) * HOUR_MS)
    assert f"a restart is permitted until {permitted}" in said("status")
    day.at(hour + 1)
    assert "Started the probationary grid" in said("gates", "restart", "ALFA-USDT", "--who", "ada")
    started = ws.warehouse.grids.history("ALFA-USDT")[-1]
    assert (started.origin, started.enabled, started.levels) == ("RESTART", True, 5)
    assert (started.allocation_quote, day.row()["grid"]) == (5500, "enabled")
    shown = said("gates", "show", "ALFA-USDT")
    assert f"The probationary grid of version {started.version} started {to_iso(started.valid_from_ms)}" in shown
    assert f"the first of them at {to_iso(START + (hour + 2) * HOUR_MS)}." in shown

    # Probation, and graduation after a day, by the shipped thresholds.
    day.at(hour + 3)
    assert "graduation not met bars on probation: 2 (at least 24)" in said("gates", "show", "ALFA-USDT")
    day.at(hour + 24)
    assert "is on probation" in said("gates", "show", "ALFA-USDT")
    day.at(hour + 30)
    assert "has graduated" in said("gates", "show", "ALFA-USDT")

    # One story, in every face.
    start, end = START + ENABLED * HOUR_MS, ws.clock()
    story = [event.document() for event in grid_log(ws, MARKET, start, end)]
    assert [event["kind"] for event in story if event["kind"] in ("Grid", "Stop", "Graduation")] == (
        ["Grid", "Grid", "Grid", "Stop", "Grid", "Graduation"]
    )
    texts = " ".join(event["text"] for event in story)
    for part in ("gate 3 → permitted", "the probationary grid that the restart gates permit"):
        assert part in texts
    assert {event["kind"] for event in story} == set(KINDS)
    hours = ["--since", to_iso(start), "--until", to_iso(end)]
    assert json.loads(_out(monkeypatch, capsys, "grid", "log", "ALFA-USDT", *hours, "--format", "json")) == story
    with TestClient(create_app(ws), base_url="http://localhost") as client:
        span = {"start": to_iso(start), "end": to_iso(end), "limit": 1000}
        assert client.get("/api/grids/ALFA-USDT/events", params=span).json()["items"] == story
    rows = Desk(ws).every_row("grid_events", symbol="ALFA-USDT", start=to_iso(start), end=to_iso(end))
    assert rows == story
    newest = ws.warehouse.latest(MARKET, "dashboard_hours") or 0
    shown = shown_events(market_rows(ws, MARKET, Window(start - 2 * HOUR_MS, newest + HOUR_MS)))
    assert [event.document() for event in shown if event.time_ms >= start] == story


def _out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert regime(monkeypatch, *words) == 0
    return capsys.readouterr().out


def _after(ws: Workspace) -> datetime:
    return datetime.fromtimestamp(ws.clock() / 1000, UTC)


def test_an_override_is_on_record_and_does_not_end_the_stop(day: Day) -> None:
    ws = day.at(ENABLED).ws
    update_grid(ws, MARKET.symbol, GRID | {"enabled": True}, expected_version=0, who="ada", why="first")
    day.later(1)
    update_grid(ws, MARKET.symbol, {"enabled": False}, expected_version=1, who="ada", why="holiday")
    (stop,) = ws.warehouse.grids.stops(MARKET.symbol)
    assert (stop.cause, stop.who, stop.why) == ("DISABLED", "ada", "holiday")

    day.later(1)
    update_grid(ws, MARKET.symbol, {"enabled": True}, expected_version=2, who="bob", why="I know", override=True)
    day.later(1)
    update_grid(ws, MARKET.symbol, {"levels": 9}, expected_version=3, who="bob", why="finer")
    day.at(ENABLED + 5)

    assert [config.origin for config in ws.warehouse.grids.history(MARKET.symbol)] == ["SET", "SET"] + ["OVERRIDE"] * 2
    row = day.row()
    assert (row["grid"], row["stop_why"], row["gate_state"][:4]) == ("enabled", "holiday", "GATE")
    texts = [event.text for event in grid_log(ws, MARKET, START, ws.clock())]
    assert any("enabled, against the restart gates (bob: I know)" in text for text in texts)
    day.later(1)
    assert stop_grid(ws, MARKET.symbol, who="ada", why="news").stopped_at_ms == ws.clock()
    history = ws.warehouse.grids.history(MARKET.symbol)
    assert [config.enabled for config in history] == [True, False, True, True, False]
    later = history[-1].model_copy(
        update={"version": 6, "supersedes": 5, "enabled": True, "origin": "SET", "valid_from": _after(ws)}
    )
    day.later(1)
    later = later.model_copy(update={"valid_from": _after(ws)})
    assert import_history(ws, (*history, later), override="moved here") == 1
    assert import_history(ws, (*history, later)) == 0
    imported = ws.warehouse.grids.history(MARKET.symbol)[-1]
    assert (imported.origin, imported.reason) == ("OVERRIDE", f"{later.reason}; override: moved here")
