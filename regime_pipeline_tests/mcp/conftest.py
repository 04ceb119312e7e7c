"""Fixtures of the MCP tests: one small database, made once, and the programs that serve it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import proposed_fields, stop_grid, update_grid
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.factories import simulated_workspace
from regime_pipeline_tests.mcp import fixtures as kit
from regime_pipeline_tests.mcp.fixtures import BTC, CHAIN, ETH, QUARTERS, YEAR, Agent, Desk


@pytest.fixture(scope="session")
def mcp_database(postgres_url: str) -> Iterator[str]:
    """An empty database that every MCP test shares."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def library(mcp_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The workspace on it, filled, whose clock stands at the end of what is stored."""
    folder = tmp_path_factory.mktemp("mcp-snapshots")
    with simulated_workspace(mcp_database, folder, [BTC, QUARTERS, ETH], clock=lambda: YEAR.end_ms) as workspace:
        _fill(workspace)
        yield workspace


@pytest.fixture(scope="session")
def programs(library: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Agent]]:
    """Agents at `regime mcp`, over stdio and over HTTP; both programs start at the same time."""
    environment = kit.environment(library.warehouse.url, tmp_path_factory.mktemp("mcp-home"))
    with ExitStack() as stack:
        url = stack.enter_context(kit.served_over_http(environment))
        stdio = stack.enter_context(kit.connected(kit.over_stdio(environment)))
        address = url()
        http = stack.enter_context(kit.connected(address))
        older = stack.enter_context(kit.connected(address, mode="legacy"))
        yield {"stdio": stdio, "http": http, "http of 2025": older}


@pytest.fixture(params=["stdio", "http", "http of 2025"])
def agent(request: pytest.FixtureRequest, programs: dict[str, Agent]) -> Agent:
    """An agent over each transport in turn, and one that speaks the protocol as it was before 2026."""
    return programs[str(request.param)]


@pytest.fixture
def desk(library: Workspace) -> Desk:
    """The tools in this process."""
    return Desk(library)


def _fill(ws: Workspace) -> None:
    """A year of regimes, a fortnight of verdicts, a grid that is stopped and then moved."""
    for market in (BTC, QUARTERS):
        _run(ws, market, YEAR, "raw_candles", "candle_regimes")
    _run(ws, ETH, CHAIN, "raw_candles")
    fields = proposed_fields(ws, BTC.symbol) | {"enabled": True}
    at = {name: replace(ws, clock=partial(int, moment)) for name, moment in kit.MOMENTS.items()}
    update_grid(at["made"], BTC.symbol, fields, expected_version=0, who="ada", why="first")
    stop_grid(at["stopped"], BTC.symbol, who="ada", why="news")
    _run(ws, BTC, CHAIN, "hourly_snapshots", "features", "scores", "regime_verdicts", "grid_advice")
    higher = {"lower": fields["lower"] + 10 * fields["tick"]}
    update_grid(at["moved"], BTC.symbol, higher, expected_version=2, who="ada", why="higher")


def _run(ws: Workspace, market: Market, window: Window, *names: str) -> None:
    """Run stages of the chain over a window."""
    for stage in (stage for name in names for stage in STAGES if stage.name == name):
        stage.run(ws, ws.start_run(stage.config_hash(ws.policy, ws.nulls)), market, window)
