"""What people and bots do with grids: the first one, an update on a known version, a stop, import and export.

Every change is a new version with who, when and why; disabling an enabled grid is a stop, and while a stop is in force
enabling is refused. See `restarts` for the way back, `queries.advice` for what is advised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.defaults import defaults_for
from regime_pipeline.domain.grids.named_conditions import Condition
from regime_pipeline.domain.grids.quick_stops import GridHealth, quick_stops
from regime_pipeline.domain.grids.versions import History
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.restart_gates.machine import StopEvent, stop_in_force
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.restarts import next_version, restart_refusal

MANUAL: Final = "MANUAL"
DISABLED: Final = "DISABLED"
"""Causes of stops besides the quick stops: somebody stopped the grid, or disabled it in a new version."""
_OVERRIDE: Final = "; override: "


def update_grid(
    ws: Workspace,
    symbol: str,
    update: Mapping[str, Any],
    *,
    expected_version: int,
    who: str,
    why: str,
    override: bool = False,
) -> GridConfig:
    """Store a new version of a symbol's grid, valid from now on, and return it; one that disables it is a stop.

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
    override : bool
        Enable it although a stop is in force. The version says so and the stop stays in force.

    Raises
    ------
    StaleGridError
        Another version is the newest by now.
    GridConfigError
        The update is refused; every fault is named.
    RestartRefusedError
        It enables the grid, a stop is in force and there is no override.
    """
    history = ws.warehouse.grids.history(symbol)
    added = next_version(ws, history, {"symbol": symbol, **update}, expected_version, who=who, why=why)
    before = history[-1] if history else None
    if added.enabled and stop_in_force(ws.warehouse.grids.stops(symbol), history) is not None:
        if not override and not _is_running(before):
            raise restart_refusal(ws, symbol)
        added = added.model_copy(update={"origin": "OVERRIDE"})
    stop = None if added.enabled or not _is_running(before) else _stop_of(added, DISABLED, why)
    ws.warehouse.grids.append(added, ws.start_run(""), stop)
    return added


def _is_running(config: GridConfig | None) -> bool:
    return config is not None and config.enabled


def _stop_of(config: GridConfig, cause: str, why: str) -> StopEvent:
    """The stop that a version is which disables an enabled grid."""
    return StopEvent(config.symbol, config.valid_from_ms, cause, config.who, why)


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


def import_history(ws: Workspace, history: History, *, override: str = "") -> int:
    """Store the versions of a history that are not stored yet, as they are; return how many were.

    Parameters
    ----------
    ws : Workspace
        Where to.
    history : sequence of GridConfig
        Versions of one symbol, oldest first. One that disables an enabled grid is a stop.
    override : str
        Why versions may enable the grid although a stop is in force here; kept in their reasons, and the stop stays in
        force.

    Raises
    ------
    UsageError
        A stored version differs from the one of the same number.
    RestartRefusedError
        A version enables the grid, a stop is in force here and there is no override.
    """
    symbol = history[0].symbol
    stored = ws.warehouse.grids.history(symbol)
    for mine, theirs in zip(stored, history, strict=False):
        if _as_imported(mine) != _as_imported(theirs):
            raise UsageError(
                f"Version {mine.version} of the grid of {symbol} is stored with other values.",
                "Histories are never rewritten: make the difference a new version with `regime grid set`.",
            )
    added = history[len(stored) :]
    if any(config.enabled for config in added) and stop_in_force(ws.warehouse.grids.stops(symbol), stored) is not None:
        if not override:
            raise restart_refusal(ws, symbol)
        added = tuple(_overriding(config, override) for config in added)
    run_id = ws.start_run("")
    for before, config in zip((stored[-1] if stored else None, *added), added, strict=False):
        is_stop = _is_running(before) and not config.enabled
        ws.warehouse.grids.append(config, run_id, _stop_of(config, DISABLED, config.reason) if is_stop else None)
    return len(added)


def _overriding(config: GridConfig, why: str) -> GridConfig:
    """The version as one that was enabled against the gates; unchanged where it is disabled."""
    if not config.enabled:
        return config
    return config.model_copy(update={"origin": "OVERRIDE", "reason": f"{config.reason}{_OVERRIDE}{why}"})


def _as_imported(config: GridConfig) -> GridConfig:
    """The version without what an override added to it."""
    return config.model_copy(update={"origin": "SET", "reason": config.reason.partition(_OVERRIDE)[0]})


def stop_grid(ws: Workspace, symbol: str, *, who: str, why: str, cause: str = MANUAL) -> StopEvent:
    """Record that a symbol's grid is stopped now: a disabled version, and a stop from which its restart gates count.

    Raises
    ------
    UsageError
        The symbol has no grid.
    """
    history = ws.warehouse.grids.history(symbol)
    if not history:
        raise UsageError(f"{symbol} has no grid to stop.", "Configure one with `regime grid set`.")
    if not history[-1].enabled:
        stop = StopEvent(symbol, ws.clock(), cause, who, why)
        ws.warehouse.grids.add_stop(stop, ws.start_run(""))
        return stop
    added = next_version(ws, history, {"enabled": False}, len(history), who=who, why=f"stopped: {why}")
    stop = _stop_of(added, cause, why)
    ws.warehouse.grids.append(added, ws.start_run(""), stop)
    return stop


def check_quick_stops(
    ws: Workspace, market: Market, *, base_shares: Sequence[float] = (), drawdown_quote: float = 0.0
) -> tuple[Condition, ...]:
    """Return every quick-stop trigger of the newest version of a symbol's grid, judged by the newest stored hour.

    Parameters
    ----------
    ws : Workspace
        Its clock says how old the data is.
    market : Market
        Whose rows to judge by.
    base_shares : sequence of float
        Worth of the base held over that of everything, per bar, oldest first, as only the bot knows it, 0..1.
    drawdown_quote : float
        Highest equity so far less equity now, as only the bot knows it, quote currency.

    Raises
    ------
    UsageError
        The symbol has no grid.
    MissingDataError
        The market has no rows.
    """
    history = ws.warehouse.grids.history(market.symbol)
    if not history:
        raise UsageError(f"{market.symbol} has no grid.", "Configure one with `regime grid set`.")
    newest = ws.warehouse.latest(market, "scores")
    if newest is None:
        raise MissingDataError(f"{market} has no scores yet.", "Materialize its chain, e.g. with `regime backfill`.")
    window = Window(newest, newest + HOUR_MS)
    scores = ws.warehouse.read_range("scores", market, window, ["as_of_bar", "vol_change_score", "trend_score"])
    atr = ws.warehouse.read_range("features", market, window, ["atr"])["atr"]
    as_of = int(scores["as_of_bar"][0])
    first = as_of - (ws.policy.grids.quick_stops.outside_closes - 1) * market.step_ms
    closes = ws.warehouse.read_candles(market, first, as_of + market.step_ms).prices("close")
    health = GridHealth(
        closes=closes.tolist() or [float("nan")],
        atr=float(atr[0]) if len(atr) else float("nan"),
        vol_change_score=float(scores["vol_change_score"][0]),
        trend_score=float(scores["trend_score"][0]),
        base_shares=base_shares,
        drawdown_quote=drawdown_quote,
        data_age_bars=(ws.clock() - as_of - market.step_ms) / market.step_ms,
    )
    return quick_stops(history[-1], health, ws.policy)
