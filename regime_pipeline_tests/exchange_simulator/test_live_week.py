"""Hours arrive live from the local exchange while everything fails at random; no failure leaves a trace in the tables.

Two days of them in `make test`, a week in `make faults`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.scheduling import corrections, frontier, next_window, recheck_from
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.conftest import SOAK
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.faults import Fault, Kind
from regime_pipeline_tests.exchange_simulator.fixtures import FORMS, exchange, source, truth
from regime_pipeline_tests.factories import START, assert_same_bytes, dump, run_stages, simulated_workspace

pytestmark = pytest.mark.slow

MARKETS = (Market("ETH-USDT", "1h"), Market("BTC-USDT", "15m"))
WEEK, TWO_DAYS = 168, 48
TIMEOUT_S = 1.0
PASSING = (Kind.RATE_LIMIT, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.DROPPED, Kind.TRUNCATED)
LASTING = (Kind.BAN, Kind.RESTRICTED)
RESTATED = Fault(kind=Kind.RESTATED, symbol="ETH-USDT", start_ms=START + 20 * HOUR_MS, end_ms=START + 21 * HOUR_MS)
HOLE = Fault(kind=Kind.GAP, symbol="BTC-USDT", start_ms=START + 30 * HOUR_MS, end_ms=START + 33 * HOUR_MS)


def inject(one: Exchange, chance: random.Random) -> None:
    """What goes wrong in this hour: some things pass within the tick, some last through it."""
    for kind in PASSING:
        one.faults.add(Fault(kind=kind, times=chance.randint(1, 2), probability=0.15))
    one.faults.add(Fault(kind=Kind.DUPLICATE, probability=0.3))
    one.faults.add(Fault(kind=Kind.LATE, probability=0.15))
    if chance.random() < 0.02:
        one.faults.add(Fault(kind=Kind.SLOW, times=1, seconds=1.5 * TIMEOUT_S))
    if chance.random() < 0.12:
        one.faults.add(Fault(kind=chance.choice(LASTING), symbol=chance.choice(("ETH-USDT", "BTC-USDT"))))


class Live:
    """The hourly sensor's loop without Dagster: one rectangle per tick, then what the corrections ask for."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.cursor: int | None = None
        self.failures = 0

    def tick(self) -> None:
        closed = frontier(self.ws).closed_ms
        window = next_window(self.ws.universe, closed, self.cursor, WEEK, recheck_from(self.ws, closed))
        if window is not None:
            for market in MARKETS:
                self.failures += sum(bool(report.failure) for report in run_stages(self.ws, market, [window]))
            self.cursor = window.end_ms
        for correction in corrections(self.ws):
            for stage in STAGES:
                if stage.name in correction.stages:
                    run = self.ws.start_run(stage.config_hash(self.ws.policy, self.ws.nulls))
                    stage.run(self.ws, run, correction.market, correction.window)


@contextmanager
def workspace(url: str, folder: Path, form: str, address: str, one: Exchange) -> Iterator[Workspace]:
    clock = one.clock.now_ms
    with simulated_workspace(url, folder, MARKETS, source=source(form, address, TIMEOUT_S), clock=clock) as ws:
        yield replace(ws, universe=replace(ws.universe, end_ms=None))


@pytest.mark.soak
@pytest.mark.parametrize("form", FORMS)
def test_hours_of_faults_leave_the_tables_of_hours_without(
    make_database: Callable[[], str], tmp_path: Path, form: str
) -> None:
    hours = WEEK if SOAK > 1 else TWO_DAYS
    chance = random.Random(f"{form} 1")
    with exchange(START, seed=3) as (one, address):
        one.faults.add(HOLE)
        with workspace(make_database(), tmp_path / "live", form, address, one) as ws:
            live = Live(ws)
            for hour in range(1, hours + 1):
                one.clock.set(START + hour * HOUR_MS + chance.randint(21, 50) * 1_000)
                inject(one, chance)
                live.tick()
                one.faults.clear()
                one.faults.add(HOLE)
                if hour >= 23:  # the exchange corrects an hour after the fact
                    one.faults.add(RESTATED)
            one.clock.advance(HOUR_MS)
            live.tick()  # an hour in peace
            with workspace(make_database(), tmp_path / "whole", form, address, one) as other:
                window = Window(START, START + (hours + 1) * HOUR_MS)
                for market in MARKETS:
                    run_stages(other, market, [window])
                    assert_same_bytes(dump(ws, market, window), dump(other, market, window))
                    _assert_every_bar_once(ws, market, window)

    assert live.failures >= 3, "the faults were felt"


def _assert_every_bar_once(ws: Workspace, market: Market, window: Window) -> None:
    """What is stored is what was traded: nothing open, lost, doubled, or made up in the hole."""
    stored = ws.warehouse.read_candles(market, window.start_ms, window.end_ms)
    true = truth(market, window.start_ms, window.end_ms)
    if market.symbol == HOLE.symbol:
        true = true[(true.open_time_ms < HOLE.start_ms) | (true.open_time_ms >= HOLE.end_ms)]
    np.testing.assert_array_equal(stored.open_time_ms, true.open_time_ms)
    np.testing.assert_array_equal(stored.close, true.close)
