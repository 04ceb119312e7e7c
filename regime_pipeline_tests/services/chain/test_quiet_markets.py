"""Markets that declare absent bars to be time without a trade: whole, in any order, and right after corrections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from regime_pipeline.domain.market_data.completeness import COMPLETE, EXCHANGE_GAP
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import NO_TRADE, is_no_trade
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import MarketSpec, Universe
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.derived import ResampledSource
from regime_pipeline.sources.quiet import QuietSource
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

HOURLY: Final = Market("ALFA-USDT", "1h")
MINUTES: Final = Market("ALFA-USDT", "1m")
QUARTERS: Final = Market("ALFA-USDT", "15m")
LULL: Final = (300, 330)
"""Hours from the start in which nobody trades at all."""


class QuietExchange(SimulatedSource):
    """A venue that knows every hour and has no bar where nobody traded: 3 % of them, and a long lull."""

    restated: bool = False

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        answer = super().fetch(market, start_ms, end_ms)
        candles = answer.candles
        bar = (candles.open_time_ms - START) // market.step_ms
        hour = (candles.open_time_ms - START) // HOUR_MS
        is_traded = (bar * 2_654_435_761 % 100 >= 3) & ~((hour >= LULL[0]) & (hour < LULL[1]))
        close = candles.close + (self.restated & (hour == LULL[0] - 1))
        return replace(answer, candles=replace(candles, close=close, high=np.maximum(candles.high, close))[is_traded])


@contextmanager
def quiet_workspace(url: str, folder: Path, exchange: SimulatedSource, *markets: Market) -> Iterator[Workspace]:
    with simulated_workspace(url, folder, markets) as made:
        quiet = QuietSource(exchange, made.warehouse.read_candles)
        specs = tuple(
            MarketSpec(m, "resampled", 100) if m == QUARTERS else MarketSpec(m, "simulated", 100, absent_bars=NO_TRADE)
            for m in markets
        )
        resampled = ResampledSource(quiet)
        yield replace(
            made,
            universe=Universe(specs, START, NOW),
            source_of=lambda market: resampled if market == QUARTERS else quiet,
        )


def exchange() -> QuietExchange:
    return QuietExchange(7, lambda: NOW, 100)


def test_a_quiet_market_has_verdicts_like_any_other(database_url: str, tmp_path: Path) -> None:
    """With 3 % of its bars absent it is decided in at least 95 % of the hours after the warm-up; it is 100."""
    hours = 700
    window = hours_from_start(0, hours)
    with quiet_workspace(database_url, tmp_path, exchange(), HOURLY) as ws:
        run_stages(ws, HOURLY, [window])
        status = ws.warehouse.read_range("candle_hours", HOURLY, window)["status"]
        assert (status[1:] == COMPLETE).all()
        rows = ws.warehouse.read_range("regime_verdicts", HOURLY, window, ["verdict"])["verdict"]
        candles = ws.warehouse.read_candles(HOURLY, window.start_ms, window.end_ms)
        snapshot = ws.snapshots.load(HOURLY, START + LULL[0] * HOUR_MS)

    decided = rows != VERDICTS.index("INSUFFICIENT_DATA")
    first = int(np.argmax(decided))
    assert first < 330, "the warm-up of 168 + 150 hours"
    assert decided[first:].mean() >= 0.95
    assert is_no_trade(candles).mean() > 0.03
    assert snapshot is not None
    assert snapshot.no_trade == 1


@pytest.mark.parametrize("order", ["single hours", "backwards by the day"])
def test_any_order_of_hours_gives_the_same_tables(
    database_url: str, each_postgres_url: str, tmp_path: Path, order: str
) -> None:
    first, last = 290, 345
    window = hours_from_start(first, last)
    singles = [hours_from_start(hour, hour + 1) for hour in range(first, last)]
    days = [hours_from_start(start, min(start + 11, last)) for start in range(first, last, 11)][::-1]
    with quiet_workspace(database_url, tmp_path / "a", exchange(), HOURLY) as ws:
        run_stages(ws, HOURLY, [window])
        whole = dump(ws, HOURLY, window)
    with quiet_workspace(each_postgres_url, tmp_path / "b", exchange(), HOURLY) as ws:
        raw, *later = STAGES
        for part in singles if order == "single hours" else days:
            raw.run(ws, ws.start_run(""), HOURLY, part)
        for stage in later:
            stage.run(ws, ws.start_run(stage.config_hash(ws.policy, ws.nulls)), HOURLY, window)
        assert_same_bytes(dump(ws, HOURLY, window), whole)


def test_a_lull_follows_the_close_that_is_restated_before_it(database_url: str, tmp_path: Path) -> None:
    window, hour = hours_from_start(280, 350), hours_from_start(LULL[0] - 1, LULL[0])
    venue = exchange()
    with quiet_workspace(database_url, tmp_path, venue, HOURLY) as ws:
        raw = STAGES[0]
        raw.run(ws, ws.start_run(""), HOURLY, window)
        before = ws.warehouse.read_candles(HOURLY, window.start_ms, window.end_ms)
        venue.restated = True
        report = raw.run(ws, ws.start_run(""), HOURLY, hour)
        after = ws.warehouse.read_candles(HOURLY, window.start_ms, window.end_ms)
        revised = ws.warehouse.revised_bars(HOURLY, window.start_ms, window.end_ms)
        stale = {mark.asset: mark.window for mark in ws.warehouse.dirty(HOURLY)}
    changed = np.flatnonzero(before.close != after.close) + 280
    traded = np.flatnonzero(~is_no_trade(after)) + 280
    next_trade = int(traded[traded >= LULL[1]][0])
    assert changed.tolist() == list(range(LULL[0] - 1, next_trade))
    assert len(revised) == len(changed)
    assert len(report.per_hour["candles"]) == 1, "the report is of the hours asked for"
    assert stale["hourly_snapshots"].end_ms >= START + next_trade * HOUR_MS


def test_bars_of_a_longer_timeframe_are_made_of_quiet_minutes(database_url: str, tmp_path: Path) -> None:
    window = Window(START + (LULL[0] - 2) * HOUR_MS, START + (LULL[0] + 2) * HOUR_MS)
    with quiet_workspace(database_url, tmp_path, exchange(), MINUTES, QUARTERS) as ws:
        for market in (MINUTES, QUARTERS):
            STAGES[0].run(ws, ws.start_run(""), market, window)
            STAGES[1].run(ws, ws.start_run(""), market, window)
        quarters = ws.warehouse.read_candles(QUARTERS, window.start_ms, window.end_ms)
        status = ws.warehouse.read_range("candle_hours", QUARTERS, window)["status"].tolist()
        snapshot = ws.snapshots.load(QUARTERS, window.end_ms - HOUR_MS)
    assert status in ([COMPLETE] * 4, [EXCHANGE_GAP] + [COMPLETE] * 3)
    assert is_no_trade(quarters)[-8:].all()
    assert snapshot is not None
    assert snapshot.no_trade == 4
