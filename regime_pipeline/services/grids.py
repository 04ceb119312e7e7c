"""What people and bots do with grids: the first one, an update on a known version, a stop, import and export.

Every change is a new version with who, when and why. See `chain.stages` for advice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from regime_pipeline._bounded_io import read_document
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.defaults import defaults_for
from regime_pipeline.domain.grids.formats import from_json, from_toml
from regime_pipeline.domain.grids.named_conditions import Condition
from regime_pipeline.domain.grids.quick_stops import GridHealth, quick_stops
from regime_pipeline.domain.grids.versions import History, new_version
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import advice_documents

if TYPE_CHECKING:
    import pandas as pd

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
    """Return the newest hour of advice as `advice_at` does; errors as `advice_frame`."""
    hour = advice_frame(ws, market, 1)["hour_start"].iloc[-1]
    found = advice_at(ws, market, round(hour.timestamp() * 1000))
    if found is None:
        raise MissingDataError(f"The advice of {market} was removed meanwhile.", "Ask again.")
    return found


def advice_at(ws: Workspace, market: Market, hour_ms: int) -> dict[str, Any] | None:
    """Return the row of `grid_advice` of an hour, names instead of codes, with reasons and gates in sentences.

    Returns
    -------
    dict or None
        The columns of the table and `reasons`; None where the hour has no row.
    """
    window = Window.hour(hour_ms)
    rows = ws.warehouse.read_range("grid_advice", market, window)
    if not len(rows["hour_start"]):
        return None
    frame = ws.warehouse.read_frame("grid_advice", market, window)
    row = {str(name): value for name, value in frame.iloc[-1].items()}
    return row | advice_documents(ws, market, window, rows)[-1]


def advice_frame(ws: Workspace, market: Market, hours: int) -> pd.DataFrame:
    """Return the newest hours of `grid_advice`, oldest first: aware UTC times, names instead of codes.

    Raises
    ------
    MissingDataError
        The market has no advice yet.
    """
    newest = ws.warehouse.latest(market, "grid_advice")
    if newest is None:
        raise MissingDataError(f"{market} has no advice yet.", "Materialize grid_advice, e.g. with `regime backfill`.")
    window = Window(newest - (hours - 1) * HOUR_MS, newest + HOUR_MS)
    return ws.warehouse.read_frame("grid_advice", market, window)


def read_histories(path: Path) -> dict[str, History]:
    """Read the histories of a TOML or JSON file by symbol.

    Raises
    ------
    UsageError
        The file is absent, of another kind, too large or not UTF-8.
    GridConfigError
        Anything in it is refused; every fault is named with its place.
    """
    read = {".toml": from_toml, ".json": from_json}.get(path.suffix.lower())
    if read is None or not path.is_file():
        raise UsageError(f"{path} is not a TOML or JSON file.", "Name a file ending in .toml or .json.")
    try:
        text = read_document(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Export the grids again.") from error
    return read(text)


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
    if history[-1].enabled:
        update_grid(ws, symbol, {"enabled": False}, expected_version=len(history), who=who, why=f"stopped: {why}")
    stop = StopEvent(symbol, ws.clock(), cause, who, why)
    ws.warehouse.grids.add_stop(stop, ws.start_run(""))
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
