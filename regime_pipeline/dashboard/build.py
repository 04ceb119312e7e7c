"""The static dashboard of a workspace: reads the newest period of every market and writes the site.

See `site` for its pages and files, `data` for what they show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.dashboard.components.sparklines import STRIP_HOURS
from regime_pipeline.dashboard.data.latest_hour import is_lagging
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.site.parts import Part, mark_of, market_part, overview_part
from regime_pipeline.dashboard.site.writer import SiteReport, prepare_folder, write_site
from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.grids.named_conditions import worded
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.restart_gates.replay import worded_restart
from regime_pipeline.domain.verdicts.explanation import weights_of
from regime_pipeline.services.chain.scheduling import LIVE_SOURCES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import EXPLAINED, advice_factors, verdict_factors
from regime_pipeline.storage.file_locks import FileLock

DEFAULT_DAYS: Final = 30
FOLDER: Final = "site"
"""Name of the site's folder in the home."""
_SHOWN: Final = ("candles", "regime_verdicts", "grid_advice", "dashboard_hours")
"""Tables behind a page; the ledger says whether their rows have changed."""
_LOCK: Final = ".lock"
_LOCK_S: Final = 600.0


def build_site(ws: Workspace, folder: Path, days: int = DEFAULT_DAYS) -> SiteReport:
    """Write the dashboard of every market of the workspace; only markets whose rows changed are made again.

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
    prepare_folder(folder)
    with FileLock(folder / _LOCK).held(timeout_s=_LOCK_S):
        return write_site(site_parts(ws, days), folder)


def site_parts(ws: Workspace, days: int = DEFAULT_DAYS) -> list[Part]:
    """Return the parts of the site, the overview last; a market's rows are read only when its part is made."""
    newest = {market: ws.warehouse.latest(market, "dashboard_hours") for market in ws.universe.markets}
    ends = {market: hour + HOUR_MS for market, hour in newest.items() if hour is not None}
    through_ms = max(ends.values(), default=0)
    parts = []
    for market, end_ms in ends.items():
        window = Window(end_ms - days * DAY_MS, end_ms)
        siblings = [other for other in ends if other.symbol == market.symbol]
        mark = mark_of(siblings, is_lagging(end_ms, through_ms), _state(ws, market, window))
        parts.append(market_part(mark, market, siblings, through_ms, partial(market_rows, ws, market, window)))
    empty = [market for market in newest if market not in ends]
    mark = mark_of(empty, [part.mark for part in parts], days)
    return [*parts, overview_part(mark, partial(_overview, ws, ends, empty))]


def _state(ws: Workspace, market: Market, window: Window) -> tuple[Any, ...]:
    """What a market's page is made from, in short."""
    grids, stops = ws.warehouse.grids.history(market.symbol), ws.warehouse.grids.stops(market.symbol)
    recorded = (ws.warehouse.ledger(table, market, window) for table in _SHOWN)
    hashes = [hashlib.sha256(each.hashes.tobytes() + each.counts.tobytes()).hexdigest() for each in recorded]
    return str(window), ws.warehouse.price_scale(market), hashes, grids, stops, _end_note(ws, market, window.end_ms)


def _end_note(ws: Workspace, market: Market, through_ms: int) -> str:
    """Why a market whose rows go through a time gets no newer ones; empty where it does."""
    end_ms, until_ms = ws.universe.end_ms, ws.universe.spec(market).until_ms
    if end_ms is not None and through_ms >= end_ms:
        return "the end of the project"
    if until_ms is not None and through_ms >= until_ms:
        return "the end of this market"
    return "" if ws.universe.origin(market).source in LIVE_SOURCES else "the end of what was imported"


def _overview(
    ws: Workspace, ends: Mapping[Market, int], empty: Sequence[Market]
) -> tuple[Sequence[MarketRows], Sequence[Market]]:
    """The newest week of every market, without its bars."""
    weeks = {market: Window(end_ms - STRIP_HOURS * HOUR_MS, end_ms) for market, end_ms in ends.items()}
    return [market_rows(ws, market, week, has_bars=False) for market, week in weeks.items()], empty


def market_rows(ws: Workspace, market: Market, window: Window, *, has_bars: bool = True) -> MarketRows:
    """Read what the dashboard shows of a market over a window whose last hour has a row."""
    warehouse = ws.warehouse
    hours = warehouse.read_range("dashboard_hours", market, window)
    shown = Window(int(hours["hour_start"][0]), window.end_ms)
    step = market.step_ms
    bars = Candles.empty(market, warehouse.price_scale(market))
    if has_bars:
        bars = warehouse.read_candles(market, shown.start_ms // step * step, shown.end_ms // step * step)
    return MarketRows(
        hours=hours,
        verdicts=_explained_verdicts(ws, market, shown),
        bars=bars,
        advice=_explained_advice(ws, market, shown),
        grids=warehouse.grids.history(market.symbol),
        stops=warehouse.grids.stops(market.symbol),
        end_note=_end_note(ws, market, window.end_ms),
    )


def _explained_verdicts(ws: Workspace, market: Market, window: Window) -> Rows:
    """The weights behind each verdict, and its factors."""
    rows = ws.warehouse.read_range("regime_verdicts", market, window, EXPLAINED)
    factors = verdict_factors(ws, market, window, rows)
    return {"hour_start": rows["hour_start"], "weights": _objects(weights_of(rows)), "factors": _objects(factors)}


def _explained_advice(ws: Workspace, market: Market, window: Window) -> Rows:
    """The rows of advice with reasons, conditions of the gates and the permitted grid in sentences."""
    rows = ws.warehouse.read_range("grid_advice", market, window)
    checks = [worded(stored) for stored in rows["gate_checks"]]
    restarts = [worded_restart(stored) for stored in rows["restart_grid"]]
    reasons = advice_factors(ws, market, window, rows)
    return {
        **rows,
        "reasons": _objects(reasons),
        "gate_checks": _objects(checks),
        "restart_grid": _objects(restarts),
    }


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    """Python objects as a column."""
    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # numpy would take equal lists for a second dimension
        column[place] = value
    return column
