"""Grids of a demonstration: each simulated symbol gets one once, within the window, and one of them is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.demo_grids import add_demo_grids
from regime_pipeline_tests.factories import START, hours_from_start, run_stages, simulated_workspace

MARKETS = (Market("ALFA-USDT", "15m"), Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "1h"))


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path, MARKETS) as opened:
        yield opened


def test_every_symbol_gets_a_grid_around_its_price_and_the_last_is_stopped(workspace: Workspace) -> None:
    window, grids = hours_from_start(0, 48), workspace.warehouse.grids

    assert add_demo_grids(workspace, window) == ["ALFA-USDT", "BRAVO-USDT"]

    (alfa,) = grids.history("ALFA-USDT")
    first, second = grids.history("BRAVO-USDT")
    assert (alfa.enabled, first.enabled, second.enabled) == (True, True, False)
    assert alfa.valid_from_ms == first.valid_from_ms == START + 24 * HOUR_MS
    assert [stop.stopped_at_ms for stop in grids.stops("BRAVO-USDT")] == [START + 36 * HOUR_MS]
    assert grids.stops("ALFA-USDT") == []
    bars = workspace.source_of(MARKETS[0]).fetch(MARKETS[0], START, alfa.valid_from_ms).candles
    assert float(alfa.lower) < bars.prices("close")[-1] < float(alfa.upper)


def test_a_second_time_nothing_is_added(workspace: Workspace) -> None:
    add_demo_grids(workspace, hours_from_start(0, 48))

    assert add_demo_grids(workspace, hours_from_start(0, 72)) == []
    assert len(workspace.warehouse.grids.history("BRAVO-USDT")) == 2


def test_the_chain_advises_on_them(workspace: Workspace) -> None:
    window = hours_from_start(0, 48)
    add_demo_grids(workspace, window)
    run_stages(workspace, MARKETS[2], [window])

    rows = workspace.warehouse.read_range("grid_advice", MARKETS[2], window)

    assert rows["config_version"].tolist() == [0] * 23 + [1] * 12 + [2] * 13  # the hour that ends with it sees it
    assert (rows["gate_state"] > 0).tolist() == [False] * 35 + [True] * 13
