"""What happened to a market's grid: versions, stops, changes of advice and of gates, in order of time.

See `payload` for how they reach the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """Something that happened: when (epoch milliseconds UTC), of what kind (Grid, Stop, Advice, Gate), in words."""

    time_ms: int
    kind: str
    text: str


def grid_events(rows: MarketRows) -> list[Event]:
    """Return the events of the period, oldest first; none where nothing is known of a grid."""
    found = [*_versions(rows), *_stops(rows), *_changes(rows, "action"), *_changes(rows, "gate_state")]
    return sorted(event for event in found if rows.start_ms <= event.time_ms <= rows.through_ms)


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


def version_text(config: GridConfig) -> str:
    """Say what a version of the grid is, who made it and why."""
    state = "enabled" if config.enabled else "disabled"
    what = f"{config.lower:f} to {config.upper:f}, {config.levels} levels, {state}"
    return f"Version {config.version}: {what} ({config.who}: {config.reason})"


def _versions(rows: MarketRows) -> Iterator[Event]:
    for config in rows.grids:
        yield Event(config.valid_from_ms, "Grid", version_text(config))


def _stops(rows: MarketRows) -> Iterator[Event]:
    for stop in rows.stops:
        yield Event(stop.stopped_at_ms, "Stop", f"{stop.cause} ({stop.who}: {stop.why})")


def _changes(rows: MarketRows, column: str) -> Iterator[Event]:
    """An event at the close of every hour whose advice, or gate, differs from that of the hour before it."""
    if rows.advice is None:
        return
    closes = (rows.advice["hour_start"] + HOUR_MS).tolist()
    for (_, before), (row, after) in pairwise(enumerate(rows.advice[column].tolist())):
        if before == after:
            continue
        if column == "action":
            yield Event(closes[row], "Advice", deciding(rows.advice["reasons"][row]).sentence)
        else:
            yield Event(closes[row], "Gate", f"{_gate(before)} → {_gate(after)}")


def _gate(code: int) -> str:
    return GATE_STATES[code].replace("_", " ").lower()
