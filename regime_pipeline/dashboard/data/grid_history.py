"""A market's grid over the shown period: what happened to it, and the versions whose lines are drawn.

See `services.queries.grid_events` for the events themselves, `payload` for how both reach the page.
"""

from __future__ import annotations

from typing import Any

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.services.queries.grid_events import (
    Event,
    advice_events,
    in_order,
    stop_events,
    verdict_events,
    version_events,
)


def shown_events(rows: MarketRows) -> list[Event]:
    """Return the events of the period, oldest first; none where nothing is known of a grid."""
    advice = rows.advice
    found = [*version_events(rows.grids), *stop_events(rows.stops)]
    if advice is not None:
        reasons = advice["reasons"]
        found += [*advice_events(advice, lambda row: reasons[row])]
    if found:
        found += [*verdict_events(rows.hours)]
    return in_order(found, rows.start_ms, rows.through_ms)


def marked_events(rows: MarketRows) -> list[Event]:
    """Return the events that the chart marks: all but changes of the verdict, which its ribbon shows."""
    return [event for event in shown_events(rows) if event.kind != "Verdict"]


def grid_spans(rows: MarketRows) -> list[dict[str, Any]]:
    """Return each version of the grid that was valid within the period.

    Returns
    -------
    list of dict
        `from_ms` and `to_ms` (within the period, epoch milliseconds UTC), `enabled`, and `lines`: prices in quote
        currency, lowest first.
    """
    ends = [later.valid_from_ms for later in rows.grids[1:]] + [rows.through_ms]
    return [
        {
            "from_ms": max(config.valid_from_ms, rows.start_ms),
            "to_ms": min(end, rows.through_ms),
            "enabled": config.enabled,
            "lines": [float(line) for line in config.lines],
        }
        for config, end in zip(rows.grids, ends, strict=False)
        if config.valid_from_ms < rows.through_ms and end > rows.start_ms
    ]
