"""Tests of `services.grid_operations`, and of the advice that the chain gives on what they store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.grids.config import GridConfig, StaleGridError
from regime_pipeline.domain.grids.schema import ADVICE_STATUSES, GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.restart_gates.machine import GateState
from regime_pipeline.domain.restart_gates.replay import GateHistory, replay
from regime_pipeline.services.chain.scheduling import corrections
from regime_pipeline.services.chain.stage_work import correction_reach
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import check_quick_stops, import_history, proposed_fields, stop_grid, update_grid
from regime_pipeline_tests.factories import START, hours_from_start, run_stages, simulated_workspace

MARKET = Market("ALFA-USDT", "1h")
WINDOW = hours_from_start(0, 40)
GRID_AT = START + 20 * HOUR_MS
RAW, ADVICE = STAGES[0], next(stage for stage in STAGES if stage.name == "grid_advice")


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path, [MARKET], clock=lambda: WINDOW.end_ms) as opened:
        yield opened


def at(workspace: Workspace, moment_ms: int) -> Workspace:
    return replace(workspace, clock=lambda: moment_ms)


def first_grid(workspace: Workspace, **update: object) -> GridConfig:
    fields = {**proposed_fields(workspace, MARKET.symbol), **update}
    return update_grid(workspace, MARKET.symbol, fields, expected_version=0, who="ada", why="a first grid")


def test_a_first_grid_lies_around_the_newest_price_and_is_disabled(workspace: Workspace) -> None:
    with pytest.raises(MissingDataError, match="No candle of ALFA-USDT is stored"):
        proposed_fields(workspace, MARKET.symbol)
    RAW.run(workspace, workspace.start_run(""), MARKET, WINDOW)

    grid = first_grid(workspace)

    last = workspace.warehouse.read_candles(MARKET, WINDOW.end_ms - HOUR_MS, WINDOW.end_ms)
    price = Decimal(int(last.close[0])) / 100
    assert grid.lower < price < grid.upper
    assert float((grid.upper - price) / price) == pytest.approx(0.08, abs=1e-3)
    assert (grid.enabled, grid.version, grid.who, grid.valid_from_ms) == (False, 1, "ada", WINDOW.end_ms)
    assert workspace.warehouse.grids.history(MARKET.symbol) == (grid,)


def test_an_update_on_a_stale_version_is_refused_and_loses_nothing(workspace: Workspace) -> None:
    RAW.run(workspace, workspace.start_run(""), MARKET, WINDOW)
    grid = first_grid(workspace)
    later = at(workspace, WINDOW.end_ms + 1)
    second = update_grid(later, MARKET.symbol, {"enabled": True}, expected_version=1, who="bob", why="go")

    with pytest.raises(StaleGridError, match="version 2 is the newest"):
        update_grid(later, MARKET.symbol, {"levels": 5}, expected_version=1, who="ada", why="fewer")

    assert workspace.warehouse.grids.history(MARKET.symbol) == (grid, second)


def test_a_new_version_makes_exactly_its_hours_of_advice_stale_and_the_chain_mends_them(workspace: Workspace) -> None:
    run_stages(workspace, MARKET, [WINDOW])
    before = workspace.warehouse.read_range("grid_advice", MARKET, WINDOW)
    assert set(before["status"].tolist()) == {ADVICE_STATUSES.index("NO_GRID")}

    first_grid(at(workspace, GRID_AT))

    (correction,) = corrections(workspace)
    assert correction.stages == ("grid_advice",)
    assert correction.window == hours_from_start(19, 40)  # the hour that closes at the version's moment is the first
    ADVICE.run(workspace, workspace.start_run(""), MARKET, correction.window)
    assert corrections(workspace) == ()
    after = workspace.warehouse.read_range("grid_advice", MARKET, WINDOW)
    assert after["config_version"].tolist() == [0] * 19 + [1] * 21
    assert np.all(after["status"][19:] == ADVICE_STATUSES.index("NO_VERDICT"))  # the series is too young


def test_a_stop_needs_a_grid_and_marks_the_hours_after_it(workspace: Workspace) -> None:
    run_stages(workspace, MARKET, [WINDOW])
    with pytest.raises(UsageError, match="ALFA-USDT has no grid to stop"):
        stop_grid(workspace, MARKET.symbol, who="ada", why="news")
    first_grid(at(workspace, START))
    ADVICE.run(workspace, workspace.start_run(""), MARKET, WINDOW)

    stop = stop_grid(at(workspace, GRID_AT + 1), MARKET.symbol, who="ada", why="news")

    assert workspace.warehouse.grids.stops(MARKET.symbol) == [stop]
    assert [(found.stages, found.window) for found in corrections(workspace)] == [
        (("grid_advice",), hours_from_start(20, 40))
    ]


def test_a_history_is_imported_as_it_is_once_and_never_rewritten(workspace: Workspace) -> None:
    RAW.run(workspace, workspace.start_run(""), MARKET, WINDOW)
    grid = first_grid(workspace)
    second = update_grid(
        at(workspace, WINDOW.end_ms + 5), MARKET.symbol, {"enabled": True}, expected_version=1, who="ada", why="go"
    )

    assert import_history(workspace, (grid, second)) == 0
    other = second.model_copy(update={"who": "mallory"})
    with pytest.raises(UsageError, match="Version 2 of the grid of ALFA-USDT is stored with other values"):
        import_history(workspace, (grid, other))


def test_an_imported_history_is_stored_whole(workspace: Workspace) -> None:
    RAW.run(workspace, workspace.start_run(""), MARKET, WINDOW)
    fields = proposed_fields(workspace, MARKET.symbol)
    grid = GridConfig(**fields, version=1, valid_from="2026-01-01T00:00:00Z", reason="moved here", who="ada")

    assert import_history(workspace, (grid,)) == 1

    assert workspace.warehouse.grids.history(MARKET.symbol) == (grid,)


LONG = hours_from_start(0, 460)
STOPPED = START + 380 * HOUR_MS


def test_gates_are_the_same_by_single_hours_by_a_range_and_by_replay(
    database_url: str, tmp_path: Path, make_database: Callable[[], str]
) -> None:
    """The stop is in the middle of the rows; the last hours come live, one by one, or in one run."""
    live, whole = LONG.hours.tolist()[-12:], []
    for folder, url in (("single", database_url), ("range", make_database())):
        with simulated_workspace(url, tmp_path / folder, [MARKET], clock=lambda: STOPPED) as ws:
            first = Window(LONG.start_ms, live[0])
            run_stages(ws, MARKET, [first])
            first_grid(at(ws, STOPPED - 24 * HOUR_MS), enabled=True)
            stop_grid(ws, MARKET.symbol, who="ada", why="news")
            for correction in corrections(ws):
                ADVICE.run(ws, ws.start_run(""), MARKET, correction.window)
            later = at(ws, LONG.end_ms)
            hours = [Window(hour, hour + HOUR_MS) for hour in live]
            run_stages(later, MARKET, hours if folder == "single" else [Window(live[0], LONG.end_ms)])
            rows = later.warehouse.read_range("grid_advice", MARKET, LONG)
            history = later.warehouse.grids.history(MARKET.symbol)
            steps = list(replay(GateState(STOPPED), LONG.end_ms, gate_history(later), history[0], later.policy))
            after = (LONG.hours + HOUR_MS) > STOPPED
            assert [GATE_STATES[code] for code in rows["gate_state"][after]] == [s.state.name for s in steps]
            assert rows["gate_bars"][after].tolist() == list(range(1, len(steps) + 1))
            assert [config.enabled for config in history] == [True, False]
            whole.append({name: column.tolist() for name, column in rows.items() if name != "run_id"})
    assert repr(whole[0]) == repr(whole[1])


def gate_history(ws: Workspace) -> GateHistory:
    return GateHistory(
        ws.snapshots.read_candles(MARKET, LONG.start_ms, LONG.end_ms),
        ws.warehouse.read_range("features", MARKET, LONG),
        ws.warehouse.read_range("scores", MARKET, LONG),
        ws.warehouse.read_range("regime_verdicts", MARKET, LONG),
    )


def test_quick_stops_are_judged_by_the_newest_hour(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="ALFA-USDT has no grid"):
        check_quick_stops(workspace, MARKET)
    RAW.run(workspace, workspace.start_run(""), MARKET, WINDOW)
    first_grid(at(workspace, START), enabled=True)
    with pytest.raises(MissingDataError, match="has no scores yet"):
        check_quick_stops(workspace, MARKET)
    run_stages(workspace, MARKET, [WINDOW])

    found = {made.name: made for made in check_quick_stops(workspace, MARKET, drawdown_quote=1e9)}

    assert [name for name, made in found.items() if made.is_met] == ["DRAWDOWN"]
    assert found["STALE_DATA"].value == 0.0
    late = at(workspace, WINDOW.end_ms + 3 * HOUR_MS)
    assert [m.name for m in check_quick_stops(late, MARKET, base_shares=[0.9] * 12) if m.is_met] == [
        "ONE_SIDED", "STALE_DATA",
    ]  # fmt: skip


def test_a_correction_reaches_the_gates_however_long_ago_the_stop_was(workspace: Workspace) -> None:
    assert correction_reach(MARKET, workspace.policy)["grid_advice"] < 365 * 24 * HOUR_MS
    assert correction_reach(MARKET, workspace.policy, has_stops=True)["grid_advice"] > 3_650 * 24 * HOUR_MS
