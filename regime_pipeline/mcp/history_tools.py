"""Tools on what happened: the log of a grid, and the runs of one verdict.

See `services.queries.grid_events` for the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.spells import find_runs
from regime_pipeline.mcp.arguments import HistoryQuery, moment_ms
from regime_pipeline.mcp.markets import stored_market
from regime_pipeline.mcp.responses import page
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.grid_events import grid_log

_WEEK_MS: Final = 7 * 24 * HOUR_MS
_COLUMNS: Final = ("hour_start", "verdict", "confidence")


def grid_events(ws: Workspace, query: HistoryQuery) -> dict[str, Any]:
    """Answer `grid_events`."""
    market = stored_market(ws, query.symbol, query.timeframe)
    start, end = _span(ws, query)
    found = grid_log(ws, market, start, end)
    keys = [f"{event.time_ms:015d} {place:06d}" for place, event in enumerate(found)]
    return _page("grid_events", market, query, (start, end), keys, [event.document() for event in found])


def verdict_history(ws: Workspace, query: HistoryQuery) -> dict[str, Any]:
    """Answer `verdict_history`."""
    market = stored_market(ws, query.symbol, query.timeframe)
    start, end = _span(ws, query)
    window = Window(start // HOUR_MS * HOUR_MS, -(-end // HOUR_MS) * HOUR_MS)
    rows = ws.warehouse.read_range("regime_verdicts", market, window, _COLUMNS)
    runs = _runs(rows)
    return _page("verdict_history", market, query, (start, end), [run["start"] for run in runs], runs)


def _runs(rows: Rows) -> list[dict[str, Any]]:
    """Runs of hours of one verdict, oldest first; a missing hour ends one."""
    hours = rows["hour_start"]
    if not len(hours):
        return []
    place = (hours - hours[0]) // HOUR_MS
    codes, confidence = (np.full(int(place[-1]) + 1, np.nan) for _ in range(2))
    codes[place], confidence[place] = rows["verdict"], rows["confidence"]
    runs = find_runs(codes)
    return [
        {
            "start": to_iso(int(hours[0]) + first * HOUR_MS),
            "end": to_iso(int(hours[0]) + (first + count) * HOUR_MS),
            "verdict": VERDICTS[code],
            "hours": count,
            "mean_confidence": round(float(confidence[first : first + count].mean()), 3),
        }
        for code, first, count in zip(runs.code.tolist(), runs.first.tolist(), runs.count.tolist(), strict=True)
    ]


def _span(ws: Workspace, query: HistoryQuery) -> tuple[int, int]:
    """The span asked for: the last seven days where no start is given."""
    end = ws.clock() if query.end is None else moment_ms("end", query.end)
    start = end - _WEEK_MS if query.start is None else moment_ms("start", query.start)
    if start >= end:
        raise UsageError(f"The span from {to_iso(start)} to {to_iso(end)} is empty.", "Give a start before the end.")
    return start, end


def _page(
    tool: str,
    market: Market,
    query: HistoryQuery,
    span: tuple[int, int],
    keys: Sequence[str],
    rows: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """A page of rows; a cursor belongs to the span as it was asked for, since `now` moves on."""
    head = {"symbol": market.symbol, "timeframe": market.timeframe, "start": to_iso(span[0]), "end": to_iso(span[1])}
    asked = (tool, market.symbol, market.timeframe, query.start, query.end)
    return page(asked, keys, lambda first, last: rows[first:last], limit=query.limit, cursor=query.cursor, context=head)
