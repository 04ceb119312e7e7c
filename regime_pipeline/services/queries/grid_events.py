"""What happened to a market's grid, in words with numbers: the one log that CLI, API, MCP and dashboard show.

Versions, stops, changes of advice, of gates and of the verdict, and graduation, in order of time. What an hour says is
known at its close, so that is when it happened. See `overview` for the state they led to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.factors import Factor, deciding
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.graduation import has_graduated
from regime_pipeline.domain.grids.named_conditions import condition_of
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import advice_factors

KINDS: Final = ("Grid", "Stop", "Advice", "Gate", "Graduation", "Verdict")
_ORIGINS: Final = {
    "SET": "",
    "RESTART": ", the probationary grid that the restart gates permit",
    "OVERRIDE": ", against the restart gates",
}
Reason = Callable[[int], Sequence[Factor]]
"""The factors behind the advice of a row."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    time_ms : int
        When, epoch milliseconds UTC.
    kind : str
        One of `KINDS`.
    text : str
        What, in words with numbers.
    who, why : str
        By whom and the reason, where a person or a bot did it; empty otherwise.
    """

    time_ms: int
    kind: str
    text: str
    who: str = ""
    why: str = ""

    def document(self) -> dict[str, Any]:
        """Return the event as JSON values."""
        return {
            "time": to_iso(self.time_ms),
            "kind": self.kind,
            "text": self.text,
            "who": self.who or None,
            "why": self.why or None,
        }


def grid_log(ws: Workspace, market: Market, start_ms: int, end_ms: int) -> list[Event]:
    """Return what happened in [start, end], oldest first; epoch milliseconds UTC."""
    grids = ws.warehouse.grids
    window = Window(start_ms // HOUR_MS * HOUR_MS - 2 * HOUR_MS, -(-end_ms // HOUR_MS) * HOUR_MS)
    advice = ws.warehouse.read_range("grid_advice", market, window)
    verdicts = ws.warehouse.read_range("regime_verdicts", market, window, ("hour_start", "verdict", "confidence"))

    def reason(row: int) -> Sequence[Factor]:
        one = {name: column[row : row + 1] for name, column in advice.items()}
        return advice_factors(ws, market, Window.hour(int(one["hour_start"][0])), one)[0]

    found = [
        *version_events(grids.history(market.symbol)),
        *stop_events(grids.stops(market.symbol)),
        *advice_events(advice, reason),
        *verdict_events(verdicts),
    ]
    return in_order(found, start_ms, end_ms)


def in_order(events: Sequence[Event], start_ms: int, end_ms: int) -> list[Event]:
    """Return the events of [start, end] in order of time; of one moment the cause before what follows from it."""
    inside = (event for event in events if start_ms <= event.time_ms <= end_ms)
    return sorted(inside, key=lambda event: (event.time_ms, KINDS.index(event.kind)))


def version_text(config: GridConfig) -> str:
    """Say what a version of the grid is, who made it and why."""
    state = "enabled" if config.enabled else "disabled"
    what = f"{config.lower:f} to {config.upper:f}, {config.levels} levels, {state}{_ORIGINS[config.origin]}"
    return f"Version {config.version}: {what} ({config.who}: {config.reason})"


def version_events(grids: Sequence[GridConfig]) -> Iterator[Event]:
    """An event for each version of the grid."""
    for config in grids:
        yield Event(config.valid_from_ms, "Grid", version_text(config), config.who, config.reason)


def stop_events(stops: Sequence[StopEvent]) -> Iterator[Event]:
    """An event for each stop."""
    for stop in stops:
        yield Event(stop.stopped_at_ms, "Stop", f"{stop.cause} ({stop.who}: {stop.why})", stop.who, stop.why)


def advice_events(advice: Rows, reason: Reason) -> Iterator[Event]:
    """Yield an event for each hour whose advice, gate or graduation differs from that of the hour before.

    Parameters
    ----------
    advice : Rows
        `hour_start`, `status`, `action`, `gate_state` and `graduation` (lists of conditions), ascending.
    reason : callable
        The factors of a row.
    """
    closes = (advice["hour_start"] + HOUR_MS).tolist()
    said = list(zip(advice["status"].tolist(), advice["action"].tolist(), strict=True))
    for row in _changes(said):
        yield Event(closes[row], "Advice", deciding(reason(row)).sentence)
    gates = advice["gate_state"].tolist()
    for row in _changes(gates):
        yield Event(closes[row], "Gate", f"{_gate(gates[row - 1])} → {_gate(gates[row])}")
    graduated = [has_graduated([condition_of(made) for made in stored]) for stored in advice["graduation"]]
    for row in _changes(graduated):
        if graduated[row]:
            yield Event(closes[row], "Graduation", _graduation_text(advice["graduation"][row]))


def verdict_events(verdicts: Rows) -> Iterator[Event]:
    """Yield an event for each hour whose verdict differs; columns `hour_start`, `verdict` and `confidence`."""
    closes, codes = (verdicts["hour_start"] + HOUR_MS).tolist(), verdicts["verdict"].tolist()
    for row in _changes(codes):
        change = f"{VERDICTS[codes[row - 1]]} → {VERDICTS[codes[row]]}"
        yield Event(closes[row], "Verdict", f"{change}, confidence {verdicts['confidence'][row]:.0%}")


def _changes(values: Sequence[Any]) -> Iterator[int]:
    """Places whose value differs from the one before."""
    return (row for row, (before, after) in enumerate(pairwise(values), 1) if before != after)


def _gate(code: int) -> str:
    return GATE_STATES[code].replace("_", " ").lower()


def _graduation_text(checks: Sequence[dict[str, Any]]) -> str:
    numbers = {check["name"]: check["value"] for check in checks}
    return (
        f"The probationary grid has graduated: {numbers['BARS']:.0f} bars, {numbers['RANGE_OK_SHARE']:.0%} of "
        f"the newest RANGE_OK, {numbers['ROUND_TRIPS']:.0f} round trips, net {numbers['NET']:.6g}."
    )
