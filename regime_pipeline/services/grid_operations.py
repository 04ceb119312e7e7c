"""What people and bots do with grids: the first one, an update on a known version, a stop, an exchange of files.

Every change is a new version with who, when and why; advising on a grid is a stage of the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.defaults import defaults_for
from regime_pipeline.domain.grids.versions import History, new_version
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.window import Window, to_iso
from regime_pipeline.services.workspace import Workspace
from regime_pipeline.storage.grid_store import StoredStop

MANUAL: Final = "MANUAL"


def update_grid(
    ws: Workspace, symbol: str, update: Mapping[str, Any], *, expected_version: int, who: str, why: str
) -> GridConfig:
    """Store a new version of a symbol's grid, valid from now on, and return it.

    Parameters
    ----------
    ws : Workspace
        Its clock says when.
    symbol : str
        `BASE-QUOTE`.
    update : mapping of str to Any
        Fields to change; every field for the first version.
    expected_version : int
        The version the update was made on, 0 for none.
    who, why : str
        Who changes it, and the reason.

    Raises
    ------
    StaleGridError
        Another version is the newest by now.
    GridConfigError
        The update is refused; every fault is named.
    """
    when = datetime.fromtimestamp(ws.clock() / 1000, UTC)
    history = new_version(
        ws.warehouse.grids.history(symbol),
        {"symbol": symbol, **update},
        expected_version=expected_version,
        who=who,
        when=when,
        why=why,
    )
    ws.warehouse.grids.append(history[-1], ws.start_run(""))
    return history[-1]


def proposed_fields(ws: Workspace, symbol: str) -> dict[str, Any]:
    """Return the fields of a first, disabled grid around the newest stored price of a symbol.

    Raises
    ------
    MissingDataError
        No candle of the symbol is stored.
    """
    stored = [(ws.warehouse.latest(m), m) for m in ws.warehouse.markets() if m.symbol == symbol]
    known = [(opened + market.step_ms, market) for opened, market in stored if opened is not None]
    if not known:
        raise MissingDataError(f"No candle of {symbol} is stored.", "Import or materialize one of its markets first.")
    closed, market = max(known, key=lambda pair: (pair[0], -pair[1].step_ms))
    candle = ws.warehouse.read_candles(market, closed - market.step_ms, closed)
    tick = Decimal(1) / candle.price_scale
    return defaults_for(symbol, int(candle.close[-1]) * tick, tick, ws.policy)


def newest_advice(ws: Workspace, market: Market) -> dict[str, Any]:
    """Return the newest hour's row of `grid_advice`: names instead of codes, the hour as ISO-8601.

    Raises
    ------
    MissingDataError
        The market has no advice yet.
    """
    newest = ws.warehouse.latest(market, "grid_advice")
    if newest is None:
        raise MissingDataError(f"{market} has no advice yet.", "Materialize grid_advice, e.g. with `regime backfill`.")
    frame = ws.warehouse.read_frame("grid_advice", market, Window(newest, newest + HOUR_MS))
    row = {str(name): value for name, value in frame.iloc[0].items()}
    return row | {"hour_start": to_iso(newest)}


def import_history(ws: Workspace, history: History) -> int:
    """Store the versions of a history that are not stored yet, as they are; return how many were.

    Raises
    ------
    UsageError
        A stored version differs from the one of the same number.
    """
    symbol = history[0].symbol
    stored = ws.warehouse.grids.history(symbol)
    for mine, theirs in zip(stored, history, strict=False):
        if mine != theirs:
            raise UsageError(
                f"Version {mine.version} of the grid of {symbol} is stored with other values.",
                "Histories are never rewritten: make the difference a new version with `regime grid set`.",
            )
    run_id = ws.start_run("")
    for config in history[len(stored) :]:
        ws.warehouse.grids.append(config, run_id)
    return max(len(history) - len(stored), 0)


def stop_grid(ws: Workspace, symbol: str, *, who: str, why: str, cause: str = MANUAL) -> StoredStop:
    """Record that a symbol's grid is stopped now; its restart gates count from here.

    Raises
    ------
    UsageError
        The symbol has no grid.
    """
    if not ws.warehouse.grids.history(symbol):
        raise UsageError(f"{symbol} has no grid to stop.", "Configure one with `regime grid set`.")
    stop = StoredStop(symbol, ws.clock(), cause, who, why)
    ws.warehouse.grids.add_stop(stop, ws.start_run(""))
    return stop
