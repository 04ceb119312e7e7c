"""Tests of `services.live_quality`: stale markets, restated candles, timeframes that contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain import checks
from regime_pipeline.services.chain.checks import CheckResult, Finder
from regime_pipeline.services.chain.reading import read_alone
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import SourceName
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import NOW, START, hours_from_start, simulated_workspace

HOURLY, QUARTERS = Market("ALFA-USDT", "1h"), Market("ALFA-USDT", "15m")
WINDOW = hours_from_start(0, 48)


def alone(find: Finder) -> Callable[[Workspace, Market, Window], CheckResult]:
    """A check as it is of one market."""
    return lambda ws, market, window: read_alone(ws, find(ws, market, window))


market_fresh, revisions_rare = alone(checks.market_fresh), alone(checks.revisions_rare)
timeframes_agree = alone(checks.timeframes_agree)


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path, [HOURLY, QUARTERS]) as opened:
        yield replace(opened, universe=replace(opened.universe, end_ms=None), clock=lambda: WINDOW.end_ms)


def store(workspace: Workspace, market: Market, window: Window) -> None:
    STAGES[0].run(workspace, workspace.start_run(""), market, window)


def from_source(workspace: Workspace, name: SourceName) -> Workspace:
    specs = tuple(replace(spec, source=name) for spec in workspace.universe.specs)
    return replace(workspace, universe=replace(workspace.universe, specs=specs))


@pytest.mark.parametrize(("hours_later", "is_fresh"), [(0.0, True), (3.0, True), (3.01, False), (40.0, False)])
def test_a_market_is_stale_from_two_bars_and_an_hour_on(
    workspace: Workspace, hours_later: float, is_fresh: bool
) -> None:
    store(workspace, HOURLY, WINDOW)
    later = replace(workspace, clock=lambda: WINDOW.end_ms + round(hours_later * HOUR_MS))

    found = market_fresh(later, HOURLY, WINDOW)

    assert (found.offending == ()) is is_fresh
    if not is_fresh:
        assert found.offending[0].startswith("ALFA-USDT_1h: the newest candle closed at 2026-09-03T00:00:00Z, ")


def test_imported_ended_and_empty_markets_are_not_expected_to_move(workspace: Workspace) -> None:
    much_later = replace(workspace, clock=lambda: NOW)
    assert market_fresh(much_later, HOURLY, WINDOW).checked == 0
    store(workspace, HOURLY, WINDOW)

    assert market_fresh(much_later, HOURLY, WINDOW).offending
    assert market_fresh(from_source(much_later, "files"), HOURLY, WINDOW).checked == 0
    ended = replace(much_later, universe=replace(much_later.universe, end_ms=WINDOW.end_ms))
    assert market_fresh(ended, HOURLY, WINDOW).offending == ()


class Raised(SimulatedSource):
    """The simulation with some bars restated."""

    rows: tuple[int, ...] = ()

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        fetched = super().fetch(market, start_ms, end_ms)
        is_it = np.isin((fetched.candles.open_time_ms - START) // market.step_ms, self.rows)
        return replace(fetched, candles=replace(fetched.candles, high=fetched.candles.high + 7 * is_it))


def restated(*rows: int) -> Raised:
    source = Raised(7, lambda: NOW, 100)
    source.rows = rows
    return source


def test_revisions_are_rare_up_to_one_in_a_hundred_of_the_last_thousand_bars(workspace: Workspace) -> None:
    store(workspace, HOURLY, WINDOW)
    assert revisions_rare(workspace, HOURLY, WINDOW).offending == ()
    store(replace(workspace, source_of=lambda _: restated(*range(10))), HOURLY, WINDOW)
    assert revisions_rare(workspace, HOURLY, WINDOW).offending == ()

    store(replace(workspace, source_of=lambda _: restated(*range(11))), HOURLY, WINDOW)

    found = revisions_rare(workspace, HOURLY, WINDOW)
    assert found.checked == 1_000
    assert found.offending == tuple(f"ALFA-USDT_1h 2026-09-01T{hour:02}:00:00Z" for hour in range(11))


def test_timeframes_of_one_symbol_agree_or_the_bars_are_named(workspace: Workspace) -> None:
    store(workspace, QUARTERS, WINDOW)
    store(workspace, HOURLY, WINDOW)
    assert timeframes_agree(workspace, HOURLY, WINDOW) == replace(
        timeframes_agree(workspace, HOURLY, WINDOW), offending=(), checked=48
    )
    assert timeframes_agree(workspace, QUARTERS, WINDOW).checked == 0  # nothing shorter is stored

    store(replace(workspace, source_of=lambda _: restated(5)), HOURLY, WINDOW)

    assert timeframes_agree(workspace, HOURLY, WINDOW).offending == ("ALFA-USDT_1h 2026-09-01T05:00:00Z",)
    assert timeframes_agree(from_source(workspace, "resampled"), HOURLY, WINDOW).checked == 0


def test_bars_are_built_from_a_timeframe_of_which_whole_bars_make_one(database_url: str, tmp_path: Path) -> None:
    threes, fives, quarters = (Market("ALFA-USDT", timeframe) for timeframe in ("3m", "5m", "15m"))
    window = hours_from_start(0, 2)
    with simulated_workspace(database_url, tmp_path, [threes, fives, quarters]) as ws:
        for market in (threes, fives, quarters):
            store(ws, market, window)

        assert [timeframes_agree(ws, market, window).checked for market in (threes, fives, quarters)] == [0, 0, 8]
        assert timeframes_agree(ws, quarters, window).offending == ()


def test_a_volume_that_is_not_the_sum_is_a_disagreement(workspace: Workspace) -> None:
    class Thinner(SimulatedSource):
        def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
            fetched = super().fetch(market, start_ms, end_ms)
            candles: Candles = replace(fetched.candles, volume=fetched.candles.volume * 0.999)
            return replace(fetched, candles=candles)

    store(workspace, QUARTERS, hours_from_start(0, 2))
    store(replace(workspace, source_of=lambda _: Thinner(7, lambda: NOW, 100)), HOURLY, hours_from_start(0, 2))

    found = timeframes_agree(workspace, HOURLY, hours_from_start(0, 2))

    assert len(found.offending) == found.checked == 2
