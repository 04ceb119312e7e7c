"""Hours that a webhook wants collected ahead of the hourly run: whether they can be, are there, and which are due.

See `api.hook_routes` for who asks and `pipeline.sensors` for launching the runs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np

from regime_pipeline.domain.errors import RegimeError, UsageError
from regime_pipeline.domain.market_data.completeness import MISSING
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.services.chain.scheduling import LIVE_SOURCES
from regime_pipeline.services.chain.workspace import Workspace

_WANTS_KEPT: Final = timedelta(days=1)
_CHAIN_END: Final = "dashboard_hours"
"""The last rows of the chain: an hour that has them has gone through all of it."""


def check_collectable(ws: Workspace, market: Market, hour_ms: int) -> None:
    """Raise `UsageError` where no run could collect the hour: another source, no partition, or one that is open."""
    spec = ws.universe.spec(market)
    source = ws.universe.origin(market).source
    if source not in LIVE_SOURCES:
        raise UsageError(
            f"{market} has the source '{source}', which nothing can be collected from.",
            "Leave out collect: the answer is then the newest stored hour.",
        )
    ends = [moment for moment in (ws.universe.end_ms, spec.until_ms) if moment is not None]
    if hour_ms < ws.universe.start_ms or any(hour_ms >= end for end in ends):
        raise UsageError(
            f"{market} has no partition {to_iso(hour_ms)}, so it cannot be collected.",
            "Leave out collect, or change the span in markets.toml.",
        )
    end = _partition(ws, hour_ms).end_ms
    if end > ws.clock():
        raise UsageError(
            f"Partitions are days (REGIME_PARTITION), and the one with {to_iso(hour_ms)} ends at {to_iso(end)}: the "
            "hour cannot be collected before.",
            "Leave out collect: the answer is then the newest stored hour.",
        )


def _partition(ws: Workspace, hour_ms: int) -> Window:
    """The partition that an hour is in, which a run computes as a whole."""
    start = hour_ms // ws.partition_ms * ws.partition_ms
    return Window(start, start + ws.partition_ms)


def is_collected(ws: Workspace, market: Market, hour_ms: int) -> bool:
    """Say whether the chain has gone through an hour with what its source had to say about it."""
    window = Window(hour_ms, hour_ms + HOUR_MS)
    status = ws.warehouse.read_range("candle_hours", market, window, ["status"])["status"]
    is_answered = bool(len(status)) and int(status[0]) != MISSING
    return is_answered and bool(np.all(ws.warehouse.ledger(_CHAIN_END, market, window).is_recorded))


def due_collections(ws: Workspace, covered: Window | None) -> list[tuple[Market, Window]]:
    """Return the partitions of markets whose runs are to be launched now, and record their hours as launched.

    Parameters
    ----------
    ws : Workspace
        Its `warehouse.hooks` holds what is wanted.
    covered : Window or None
        Hours that a run requested at this moment covers for every market.

    Notes
    -----
    An hour whose partition its source has not closed yet waits. One that is there by now, or covered, is recorded
    alone: no hour is run twice.
    """
    due: dict[tuple[Market, Window], None] = {}
    for market, hour in ws.warehouse.hooks.wanted():
        is_needless = market not in ws.universe.markets or is_collected(ws, market, hour)
        is_covered = covered is not None and covered.start_ms <= hour < covered.end_ms
        if not (is_needless or is_covered):
            wanted = _partition(ws, hour)
            if not _has_closed(ws, market, wanted.end_ms):
                continue
            due[market, wanted] = None
        ws.warehouse.hooks.mark_launched(market, hour, _WANTS_KEPT)
    return list(due)


def _has_closed(ws: Workspace, market: Market, end_ms: int) -> bool:
    """Whether the market's source has the last bar that closes by a moment; one that cannot be asked has not."""
    due = end_ms // market.step_ms * market.step_ms
    try:
        closed = ws.source_of(market).newest_closed_ms(market)
    except RegimeError:
        return False
    return closed is not None and closed >= due
