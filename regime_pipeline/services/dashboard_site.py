"""The static dashboard of a workspace: reads every market's newest period and has the site written.

What the site looks like is the dashboard's business.
"""

from __future__ import annotations

from pathlib import Path

from regime_pipeline.dashboard.rows import MarketRows
from regime_pipeline.dashboard.site import SiteReport, site_files, write_site
from regime_pipeline.domain.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.window import Window
from regime_pipeline.services.workspace import Workspace

DEFAULT_DAYS = 30


def build_site(ws: Workspace, folder: Path, days: int = DEFAULT_DAYS) -> SiteReport:
    """Write the dashboard of every market of the workspace.

    Parameters
    ----------
    ws : Workspace
        Its universe names the markets and their order.
    folder : Path
        Where the site goes; made if need be. Files that would not change are left alone.
    days : int
        Length of the period, up to each market's own newest hour.

    Returns
    -------
    SiteReport
        What was written. Markets without a row are named on the overview and have no page.

    Raises
    ------
    UsageError
        The folder holds other things, or cannot be written.
    """
    found = {market: market_rows(ws, market, days) for market in ws.universe.markets}
    known = [rows for rows in found.values() if rows is not None]
    empty = [market for market, rows in found.items() if rows is None]
    return write_site(site_files(known, empty), folder, len(known))


def market_rows(ws: Workspace, market: Market, days: int) -> MarketRows | None:
    """Read what the dashboard shows of a market; None where it has no row."""
    warehouse = ws.warehouse
    newest = warehouse.latest(market, "dashboard_hours")
    if newest is None:
        return None
    window = Window(newest + HOUR_MS - days * DAY_MS, newest + HOUR_MS)
    hours = warehouse.read_range("dashboard_hours", market, window)
    shown = Window(int(hours["hour_start"][0]), window.end_ms)
    step = market.step_ms
    return MarketRows(
        hours=hours,
        verdicts=warehouse.read_range("regime_verdicts", market, shown, ["hour_start", "competing", "factors"]),
        bars=warehouse.read_candles(market, shown.start_ms // step * step, shown.end_ms // step * step),
        advice=warehouse.read_range("grid_advice", market, shown),
        grids=warehouse.grids.history(market.symbol),
        stops=warehouse.grids.stops(market.symbol),
    )
