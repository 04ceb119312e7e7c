"""Stored advice on grids for every face: names instead of codes, reasons and gates in sentences.

See `overview` for the newest state of every market, `services.restarts` for gates that no hour has recorded yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import advice_documents

if TYPE_CHECKING:
    import pandas as pd


def newest_advice(ws: Workspace, market: Market) -> dict[str, Any]:
    """Return the newest hour of advice as `advice_at` does; errors as `advice_frame`."""
    found = advice_at(ws, market, _newest_hour(ws, market))
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
    newest = _newest_hour(ws, market)
    return ws.warehouse.read_frame("grid_advice", market, Window(newest - (hours - 1) * HOUR_MS, newest + HOUR_MS))


def _newest_hour(ws: Workspace, market: Market) -> int:
    newest = ws.warehouse.latest(market, "grid_advice")
    if newest is None:
        raise MissingDataError(f"{market} has no advice yet.", "Materialize grid_advice, e.g. with `regime backfill`.")
    return newest
