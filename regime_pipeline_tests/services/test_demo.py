"""The demonstration: its markets file, what its markets tell whatever hour it ends with, and whose home it enters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.policy import default_policy
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.demo import (
    HISTORY_ASSETS,
    HISTORY_HOURS,
    SHOWN_HOURS,
    STORIES,
    add_demo_grids,
    demo_specs,
    demo_windows,
    ensure_demo_markets,
)
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.queries.overview import overview
from regime_pipeline.services.stop_worth import stop_worth
from regime_pipeline.services.universe import MarketSpec, Universe, load_universe
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import simulated_workspace

NOWS = ("2026-11-27T02:14:05Z", "2027-02-28T23:59:59Z", "2031-06-01T13:00:00Z")
"""The last is a full hour: the hour before it has just closed."""


def demo_universe(folder: Path, now_ms: int) -> Universe:
    path = folder / "home" / "markets.toml"
    ensure_demo_markets(path, now_ms, False)
    return load_universe(path)


def source_of(universe: Universe, spec: MarketSpec, now_ms: int) -> SimulatedSource:
    assert spec.simulated_from_ms is not None
    return SimulatedSource(7, lambda: now_ms, spec.price_scale, universe.start_ms - spec.simulated_from_ms)


@contextmanager
def demo_workspace(database_url: str, folder: Path, now_ms: int) -> Iterator[Workspace]:
    """The demonstration after its run, without Dagster; the clock stands where it ended."""
    universe = demo_universe(folder, now_ms)
    with simulated_workspace(database_url, folder / "snapshots", universe.markets, clock=lambda: now_ms) as opened:
        ws = replace(opened, universe=universe, source_of=lambda m: source_of(universe, universe.spec(m), now_ms))
        history, shown = demo_windows(universe, now_ms)
        add_demo_grids(ws, shown)
        for market in universe.markets:
            for stage in STAGES:
                run_id = ws.start_run(stage.config_hash(ws.policy, ws.nulls))
                if stage.name in HISTORY_ASSETS:
                    stage.run(ws, run_id, market, history)
                stage.run(ws, run_id, market, shown)
        yield ws


def verdicts_at(folder: Path, now_ms: int) -> dict[str, list[str]]:
    universe = demo_universe(folder, now_ms)
    end_ms = now_ms // HOUR_MS * HOUR_MS
    found = {}
    for spec in demo_specs(universe):
        bars = source_of(universe, spec, now_ms).fetch(spec.market, universe.start_ms, end_ms).candles
        hours = Window(universe.start_ms, end_ms).hours
        codes = analyze(bars, hours, default_policy(), default_null_table()).verdicts["verdict"]
        found[spec.market.symbol] = np.array(VERDICTS, dtype=object)[codes].tolist()
    return found


def test_the_same_verdicts_end_at_every_hour_and_every_shown_hour_is_decided(tmp_path: Path) -> None:
    first, *others = (verdicts_at(tmp_path / now[:10], to_ms(now)) for now in NOWS)

    assert all(other == first for other in others)
    shown = {symbol: codes[HISTORY_HOURS:] for symbol, codes in first.items()}
    assert {len(codes) for codes in shown.values()} == {SHOWN_HOURS}
    assert all(codes.count("INSUFFICIENT_DATA") <= 0.2 * SHOWN_HOURS for codes in shown.values())
    assert sum("RANGE_OK" in codes for codes in shown.values()) >= 3
    assert set(first["ALFA-USDT"][:HISTORY_HOURS]) == {"INSUFFICIENT_DATA"}, "no hour of history is decided"


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("now", NOWS[:2])
def test_each_market_does_what_its_story_tells(database_url: str, tmp_path: Path, now: str) -> None:
    now_ms = to_ms(now)
    with demo_workspace(database_url, tmp_path, now_ms) as ws:
        rows = {row["symbol"]: row for row in overview(ws)}
        (grid,) = ws.warehouse.grids.history("BRAVO-USDT")
        bravo = next(m for m in ws.universe.markets if m.symbol == "BRAVO-USDT")
        worth = stop_worth(ws, bravo, grid, now_ms // HOUR_MS * HOUR_MS)
        assert stop_worth(ws, bravo, grid, grid.valid_from_ms + 24 * HOUR_MS) is None, "not advised yet"

    assert list(rows) == ["BRAVO-USDT", "CHARLIE-USDT", "ALFA-USDT", "DELTA-USDT", "ECHO-USDT"]
    told = {symbol: (row["verdict"], row["grid"], row["attention"]) for symbol, row in rows.items()}
    assert told == {
        "ALFA-USDT": ("RANGE_OK", "enabled", ""),
        "BRAVO-USDT": ("TREND", "enabled", "OUTSIDE"),
        "CHARLIE-USDT": ("RANGE_OK", "stopped", "RESTART"),
        "DELTA-USDT": ("TREND", "none", ""),
        "ECHO-USDT": ("RANGE_OK", "none", ""),
    }
    assert (rows["ALFA-USDT"]["action"], rows["ALFA-USDT"]["grid_position"]) == ("KEEP", "inside")
    assert (rows["BRAVO-USDT"]["action"], rows["BRAVO-USDT"]["grid_position"]) == ("STOP_PLACING", "below")
    assert not any(row["is_late"] or row["stale"] or row["advice_stale"] for row in rows.values())
    assert worth is not None
    assert worth.left_ms is not None
    assert grid.valid_from_ms < worth.advised_ms < worth.left_ms < now_ms
    assert float(grid.allocation_quote) > worth.followed > worth.ignored > 0
    assert worth.saved == pytest.approx(worth.followed - worth.ignored)


def test_grids_are_laid_once(database_url: str, tmp_path: Path) -> None:
    now_ms = to_ms(NOWS[0])
    universe = demo_universe(tmp_path, now_ms)
    with simulated_workspace(database_url, tmp_path, universe.markets, clock=lambda: now_ms) as opened:
        ws = replace(opened, universe=universe, source_of=lambda m: source_of(universe, universe.spec(m), now_ms))
        shown = demo_windows(universe, now_ms)[1]

        assert add_demo_grids(ws, shown) == ["ALFA-USDT", "BRAVO-USDT", "CHARLIE-USDT"]
        assert add_demo_grids(ws, shown) == []

        first, second = ws.warehouse.grids.history("CHARLIE-USDT")
        (stop,) = ws.warehouse.grids.stops("CHARLIE-USDT")
    assert (first.enabled, second.enabled) == (True, False)
    assert stop.stopped_at_ms == second.valid_from_ms


def test_the_markets_file_says_what_each_tells_and_is_written_once(tmp_path: Path) -> None:
    now_ms = to_ms(NOWS[0])
    universe = demo_universe(tmp_path, now_ms)
    path = tmp_path / "home" / "markets.toml"
    text = path.read_text("utf-8")

    ensure_demo_markets(path, now_ms + 30 * HOUR_MS, True)

    assert path.read_text("utf-8") == text
    assert all(story.tells in text for story in STORIES)
    history, shown = demo_windows(universe, now_ms + 30 * HOUR_MS)
    assert (len(history), len(shown)) == (HISTORY_HOURS, SHOWN_HOURS + 30), "later, the same markets go on"


@pytest.mark.parametrize("occupied", [True, False])
def test_another_projects_home_is_refused_and_left_alone(tmp_path: Path, occupied: bool) -> None:
    path = tmp_path / "markets.toml"
    entry = '[[markets]]\nsymbol = "ALFA-USDT"\ntimeframes = ["1h"]\nsource = "files"\n'
    mine = f"[partitions]\nstart = 2026-01-01T00:00:00Z\n{entry}"
    if not occupied:
        path.write_text(mine, "utf-8")

    with pytest.raises(UsageError, match="holds a project of its own"):
        ensure_demo_markets(path, to_ms(NOWS[0]), occupied)

    assert (path.read_text("utf-8") if path.exists() else None) == (None if occupied else mine)
