"""Tests of `services.catch_up`: what a tick runs, after downtime, in the middle of nothing, and after a correction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.scheduling import (
    SourceFrontier,
    corrections,
    frontier,
    holes,
    next_window,
    recheck_from,
    repaired_cursor,
)
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import MarketSpec, Universe
from regime_pipeline.sources.base import CandleSource, Fetched
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import (
    NOW,
    START,
    assert_same_bytes,
    dump,
    hours_from_start,
    run_stages,
    simulated_workspace,
)

MARKETS = (Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "15m"))
UNIVERSE = Universe((), START, None)


@pytest.mark.parametrize(
    ("closed", "cursor", "expected"),
    [
        (None, None, None),
        (10, None, (9, 10)),  # the first tick takes the newest hour
        (10, 10, None),
        (11, 10, (10, 11)),
        (15, 10, (10, 15)),  # five hours of downtime in one tick
        (500, 10, (10, 178)),  # a week at most
        (9, 10, None),  # a source whose clock went back
        (1, -3, (0, 1)),  # never before the partitions
    ],
)
def test_a_tick_takes_every_closed_hour_since_the_cursor(
    closed: int | None, cursor: int | None, expected: tuple[int, int] | None
) -> None:
    def ms(hour: int | None) -> int | None:
        return None if hour is None else START + hour * HOUR_MS

    found = next_window(UNIVERSE, ms(closed), ms(cursor), 168)

    assert found == (None if expected is None else hours_from_start(*expected))


def test_nothing_runs_beyond_the_end_of_the_partitions() -> None:
    ended = replace(UNIVERSE, end_ms=START + 5 * HOUR_MS)

    assert next_window(ended, START + 9 * HOUR_MS, START + 3 * HOUR_MS, 168) == hours_from_start(3, 5)
    assert next_window(ended, START + 9 * HOUR_MS, START + 5 * HOUR_MS, 168) is None


@pytest.mark.parametrize(
    ("closed", "cursor", "again", "expected"),
    [
        (60, 59, 20, (20, 60)),
        (60, 60, 20, None),  # nothing new: nothing is asked for again
        (60, None, 20, (59, 60)),  # history is a backfill
        (60, 10, 20, (10, 60)),
        (60, 59, -5, (0, 60)),
        (300, 250, 230, (230, 300)),
    ],
)
def test_a_tick_starts_earlier_where_something_is_asked_for_again(
    closed: int, cursor: int | None, again: int, expected: tuple[int, int] | None
) -> None:
    cursor_ms = None if cursor is None else START + cursor * HOUR_MS

    found = next_window(UNIVERSE, START + closed * HOUR_MS, cursor_ms, 168, START + again * HOUR_MS)

    assert found == (None if expected is None else hours_from_start(*expected))


def test_imported_hours_that_are_missing_are_not_asked_for_again(database_url: str, tmp_path: Path) -> None:
    closed = START + 61 * HOUR_MS
    with simulated_workspace(database_url, tmp_path, MARKETS) as ws:
        assert recheck_from(ws, None) is None
        assert recheck_from(ws, closed) is None
        market, window = MARKETS[0], hours_from_start(55, 57)
        none = Candles.empty(market, 100)
        ws.warehouse.series_id(market, venue="x", price_scale=100)
        ws.warehouse.replace_candles(
            market, window, none, hour_statuses(market, window, none, ()), ws.start_run(""), {}
        )
        assert recheck_from(ws, closed) == window.start_ms

        specs = tuple(replace(spec, source="files") for spec in ws.universe.specs)
        assert recheck_from(replace(ws, universe=replace(ws.universe, specs=specs)), closed) is None


class Clocked:
    """A source that knows its newest bar, or fails."""

    venue = "clocked"

    def __init__(self, closed: int | SourceError | None) -> None:
        self.closed = closed

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        raise NotImplementedError

    def newest_closed_ms(self, market: Market) -> int | None:
        if isinstance(self.closed, SourceError):
            raise self.closed
        return self.closed


def asked(*sources: CandleSource) -> SourceFrontier:
    by_market = dict(zip(MARKETS, sources, strict=True))
    universe = Universe(tuple(MarketSpec(market, "simulated", 100) for market in MARKETS), START, None)
    parts = {"universe": universe, "source_of": staticmethod(by_market.__getitem__), "clock": staticmethod(lambda: NOW)}
    workspace: Workspace = type("W", (), parts)()
    return frontier(workspace)


def test_the_frontier_is_the_newest_whole_hour_and_a_failing_source_is_named() -> None:
    down = Clocked(SourceError("Binance is down."))

    assert asked(Clocked(START + 90 * 60_000), Clocked(START + 45 * 60_000)) == SourceFrontier(START + HOUR_MS, ())
    assert asked(down, Clocked(START + HOUR_MS)) == SourceFrontier(START + HOUR_MS, ("Binance is down.",))
    assert asked(Clocked(None), down) == SourceFrontier(None, ("Binance is down.",))


def test_an_exchange_is_asked_for_its_clock_once_a_timeframe() -> None:
    listed = [("A-USDT", "1h", "binance"), ("B-USDT", "1h", "binance"), ("B-USDT", "4h", "binance"),
              ("A-USDT", "1h", "kraken"), ("C-USDT", "1h", "binance")]  # fmt: skip
    specs = tuple(
        MarketSpec(Market(symbol if exchange == "binance" else f"K{symbol}", timeframe), "exchange", 100, exchange)
        for symbol, timeframe, exchange in listed
    )
    ended = replace(specs[0], market=Market("ENDED-USDT", "1h"), until_ms=START)
    questions: list[Market] = []

    class Counted(Clocked):
        def newest_closed_ms(self, market: Market) -> int | None:
            questions.append(market)
            return super().newest_closed_ms(market)

    source = Counted(START + 3 * HOUR_MS)
    parts = {"universe": Universe((*specs, ended), START, None), "source_of": staticmethod(lambda _: source)}
    workspace: Workspace = type("W", (), parts | {"clock": staticmethod(lambda: NOW)})()

    assert frontier(workspace) == SourceFrontier(START + 3 * HOUR_MS, ())
    assert sorted(map(str, questions)) == ["A-USDT_1h", "B-USDT_4h", "ENDED-USDT_1h", "KA-USDT_1h"]


def test_a_source_whose_clock_is_ahead_is_named_and_not_believed() -> None:
    ahead = asked(Clocked(NOW + 30 * DAY_MS), Clocked(NOW - HOUR_MS))

    assert ahead.closed_ms == NOW - HOUR_MS
    (said,) = ahead.failures
    assert "BRAVO" not in said
    assert "One of the two clocks is wrong" in said
    assert asked(Clocked(NOW + 299_000), Clocked(NOW - HOUR_MS)) == SourceFrontier(NOW, ())


def test_a_cursor_ahead_of_the_clock_goes_back_to_what_is_stored(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, MARKETS) as ws:
        assert repaired_cursor(ws, NOW + 7 * DAY_MS) is None
        STAGES[0].run(ws, ws.start_run(""), MARKETS[0], hours_from_start(0, 5))

        assert repaired_cursor(ws, NOW + 7 * DAY_MS) == START + 5 * HOUR_MS
        assert repaired_cursor(ws, NOW) == NOW
        assert repaired_cursor(ws, None) is None


def test_history_behind_the_first_live_hour_leaves_no_correction_over_hours_never_fetched(
    database_url: str, tmp_path: Path
) -> None:
    with simulated_workspace(database_url, tmp_path, MARKETS) as ws:
        run_stages(ws, MARKETS[0], [hours_from_start(36, 37)])
        run_stages(ws, MARKETS[0], [hours_from_start(0, 24)])

        found = corrections(ws)
        for correction in found:
            for stage in STAGES:
                if stage.name in correction.stages:
                    run_id = ws.start_run(stage.config_hash(ws.policy, ws.nulls))
                    assert not stage.run(ws, run_id, correction.market, correction.window).failure

        assert all(not 24 <= (hour - START) // HOUR_MS < 36 for each in found for hour in each.window.hours.tolist())
        assert corrections(ws) == ()
        assert ws.warehouse.dirty() == []


class Restated(SimulatedSource):
    """The simulation with one candle restated."""

    at_ms = START + 30 * HOUR_MS

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        fetched = super().fetch(market, start_ms, end_ms)
        is_it = fetched.candles.open_time_ms == self.at_ms
        if market != MARKETS[0] or not is_it.any():
            return fetched
        candles = fetched.candles
        raised = replace(candles, high=np.where(is_it, candles.high + 500, candles.high))
        return Fetched(raised, fetched.covered)


def test_a_restated_candle_is_one_correction_that_mends_exactly_what_it_made_stale(
    database_url: str, tmp_path: Path, make_database: Callable[[], str]
) -> None:
    window = hours_from_start(0, 240)
    with simulated_workspace(database_url, tmp_path / "a", MARKETS) as ws:
        for market in MARKETS:
            run_stages(ws, market, [window])
        assert corrections(ws) == ()
        later = replace(ws, source_of=lambda _: Restated(7, lambda: NOW, 100))
        raw = STAGES[0]
        raw.run(later, later.start_run(""), MARKETS[0], hours_from_start(24, 36))

        (found,) = corrections(later)

        assert found.market == MARKETS[0]
        assert found.stages == tuple(stage.name for stage in STAGES[1:])
        assert found.window == Window(START + 30 * HOUR_MS, window.end_ms)
        for stage in STAGES[1:]:
            stage.run(later, later.start_run(stage.config_hash(later.policy, later.nulls)), found.market, found.window)
        assert corrections(later) == ()
        mended = dump(later, MARKETS[0], window)
        with simulated_workspace(make_database(), tmp_path / "b", MARKETS, source=Restated(7, lambda: NOW, 100)) as new:
            run_stages(new, MARKETS[0], [window])
            assert_same_bytes(mended, dump(new, MARKETS[0], window))


def test_marks_of_an_unlisted_market_are_left_alone(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, MARKETS) as ws:
        run_stages(ws, MARKETS[0], [hours_from_start(0, 60)])
        later = replace(ws, source_of=lambda _: Restated(7, lambda: NOW, 100))
        STAGES[0].run(later, later.start_run(""), MARKETS[0], hours_from_start(24, 36))

        unlisted = replace(later, universe=replace(ws.universe, specs=ws.universe.specs[1:]))

        assert corrections(unlisted) == ()
        assert len(corrections(later)) == 1


def test_marks_of_hours_without_a_partition_are_left_alone(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, MARKETS) as ws:
        run_stages(ws, MARKETS[0], [hours_from_start(0, 60)])
        later = replace(ws, source_of=lambda _: Restated(7, lambda: NOW, 100))
        STAGES[0].run(later, later.start_run(""), MARKETS[0], hours_from_start(24, 36))

        for first, last, window in ((40, 50, hours_from_start(40, 50)), (0, 20, None), (60, 70, None)):
            span = {"start_ms": START + first * HOUR_MS, "end_ms": START + last * HOUR_MS}
            found = corrections(replace(later, universe=replace(ws.universe, **span)))
            assert [correction.window for correction in found] == ([] if window is None else [window])


def test_a_market_whose_backfill_was_lost_has_holes(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, MARKETS) as ws:
        assert holes(ws) == {}
        run_stages(ws, MARKETS[0], [hours_from_start(0, 5)])
        run_stages(ws, MARKETS[1], [hours_from_start(3, 5)])

        lost = dict.fromkeys(MARKETS[2:], 5)
        assert holes(ws) == {MARKETS[1]: 3, **lost}

        later = replace(ws, universe=replace(ws.universe, start_ms=START + 2 * HOUR_MS))
        assert holes(later) == {MARKETS[1]: 1, **dict.fromkeys(MARKETS[2:], 3)}
        ended = replace(ws, universe=replace(ws.universe, end_ms=START + 2 * HOUR_MS))
        assert holes(ended) == dict.fromkeys(MARKETS[1:], 2)
        elsewhere = {"start_ms": START + 9 * HOUR_MS, "end_ms": None}
        assert holes(replace(ws, universe=replace(ws.universe, **elsewhere))) == {}
