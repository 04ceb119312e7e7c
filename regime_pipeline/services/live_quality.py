"""What must hold of markets that are followed live: fresh, seldom restated, the same on every timeframe.

All of it warns; what must hold of the rows that a stage has written stands in `quality`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.resample import resample_complete
from regime_pipeline.domain.window import Int64, Window, to_iso
from regime_pipeline.services.catch_up import LIVE_SOURCES
from regime_pipeline.services.findings import Finding, at
from regime_pipeline.services.stages import candle_span
from regime_pipeline.services.workspace import Workspace

REVISION_BARS: Final = 1_000
MAX_REVISED_SHARE: Final = 0.01
_VOLUME_ROUNDING: Final = 1e-6
_PRICES: Final = ("open", "high", "low", "close")


def market_fresh(ws: Workspace, market: Market, _window: Window) -> Finding:
    """The newest candle of a market that has a live source is at most two bars and an hour old."""
    newest, spec = ws.warehouse.latest(market), ws.universe.spec(market)
    if spec.source not in LIVE_SOURCES or newest is None:
        return Finding((), 0)
    now = min(moment for moment in (ws.clock(), ws.universe.end_ms, spec.until_ms) if moment is not None)
    age_ms = now - newest - market.step_ms
    if age_ms <= 2 * market.step_ms + HOUR_MS:
        return Finding((), 1)
    closed = to_iso(newest + market.step_ms)
    return Finding((f"{market}: the newest candle closed at {closed}, {age_ms / HOUR_MS:.1f} hours ago",), 1)


def revisions_rare(ws: Workspace, market: Market, window: Window) -> Finding:
    """Of the last 1,000 bars, and of the slice, at most one in a hundred was ever restated."""
    start, end = candle_span(market, window)
    first = min(start, end - REVISION_BARS * market.step_ms)
    revised = ws.warehouse.revised_bars(market, first, end)
    bars = (end - first) // market.step_ms
    return Finding(at(market, revised) if len(revised) > MAX_REVISED_SHARE * bars else (), bars)


def timeframes_agree(ws: Workspace, market: Market, window: Window) -> Finding:
    """Every bar equals the one built from the symbol's next shorter stored timeframe, where all its hours are whole."""
    shorter = _next_shorter(ws, market)
    if shorter is None:
        return Finding((), 0)
    start, end = candle_span(market, window)
    built = resample_complete(ws.warehouse.read_candles(shorter, start, end), market.timeframe)
    own = ws.warehouse.read_candles(market, start, end)
    both, own_row, built_row = np.intersect1d(own.open_time_ms, built.open_time_ms, return_indices=True)
    return Finding(at(market, both[_differs(own[own_row], built[built_row])]), len(both))


def _next_shorter(ws: Workspace, market: Market) -> Market | None:
    """The longest timeframe of the symbol below the market's, at most an hour, that a source of its own gives."""
    if ws.universe.spec(market).source == "resampled":
        return None
    longest = min(market.step_ms - 1, HOUR_MS)
    others = [m for m in ws.warehouse.markets() if m.symbol == market.symbol and m.step_ms <= longest]
    return max(others, key=lambda other: other.step_ms, default=None)


def _differs(own: Candles, built: Candles) -> Int64:
    """Which bars have another price or volume; equal lengths, any price scales."""
    prices = [getattr(own, name) * built.price_scale != getattr(built, name) * own.price_scale for name in _PRICES]
    is_volume_off = ~np.isclose(own.volume, built.volume, rtol=_VOLUME_ROUNDING, atol=0.0)
    return np.flatnonzero(np.any([*prices, is_volume_off], axis=0))
