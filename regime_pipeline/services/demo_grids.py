"""Grids of simulated markets, so that a demonstration has advice, events and restart gates to show.

Real markets get theirs from their owners: a symbol that already has a grid is left alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from regime_pipeline.domain.grids.defaults import defaults_for
from regime_pipeline.domain.grids.versions import new_version
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import MANUAL

WHO = "demo"


def add_demo_grids(ws: Workspace, window: Window) -> list[str]:
    """Give every simulated symbol a grid from the middle of a window on, and stop the last one's later.

    Parameters
    ----------
    ws : Workspace
        Its simulated symbols; those that have a grid, and those that have no price yet, are left alone.
    window : Window
        What the demonstration shows.

    Returns
    -------
    list of str
        Symbols that got a grid. The edges are the policy's defaults around the price at that time.
    """
    markets = {spec.market.symbol: spec.market for spec in ws.universe.specs if spec.source == "simulated"}
    added = [symbol for symbol, market in markets.items() if _add_grid(ws, market, _moment(window, 1, 2))]
    for symbol in added[-1:]:
        _stop(ws, symbol, _moment(window, 3, 4))
    return added


def _moment(window: Window, part: int, of: int) -> int:
    """Start of the hour after a part of the window, epoch milliseconds UTC."""
    return window.start_ms + len(window) * part // of * HOUR_MS


def _add_grid(ws: Workspace, market: Market, when_ms: int) -> bool:
    grids = ws.warehouse.grids
    bars = ws.source_of(market).fetch(market, when_ms - 24 * HOUR_MS, when_ms).candles.closed_by(when_ms)
    if grids.history(market.symbol) or not len(bars):
        return False
    tick = Decimal(1) / bars.price_scale
    fields = defaults_for(market.symbol, int(bars.close[-1]) * tick, tick, ws.policy) | {"enabled": True}
    history = new_version(
        (), fields, expected_version=0, who=WHO, when=datetime.fromtimestamp(when_ms / 1000, UTC), why="a first grid"
    )
    grids.append(history[-1], ws.start_run(""))
    return True


def _stop(ws: Workspace, symbol: str, when_ms: int) -> None:
    """Disable a symbol's grid and let its restart gates count from then on."""
    grids, run_id = ws.warehouse.grids, ws.start_run("")
    history = new_version(
        grids.history(symbol),
        {"enabled": False},
        expected_version=1,
        who=WHO,
        when=datetime.fromtimestamp(when_ms / 1000, UTC),
        why="stopped",
    )
    grids.append(history[-1], run_id, StopEvent(symbol, when_ms, MANUAL, WHO, "to show the restart gates"))
