"""What is worth an alert: the last day's changes of verdicts, stops, permissions, prices outside, old data.

Each is one plain sentence with numbers, and has an id that is the same whenever it is found again. See `rules` for who
is notified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

from regime_pipeline.domain.grids.comparison import edge_distance_pct
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.alerts.rules import Event
from regime_pipeline.services.chain.scheduling import LIVE_SOURCES
from regime_pipeline.services.chain.workspace import Workspace

LOOKBACK_HOURS: Final = 24
"""What is older is history: nobody is notified of it any more."""
_PERMITTED: Final = GATE_STATES.index("PERMITTED")
_MINUTE_MS: Final = 60_000
_ADVICE: Final = ("hour_start", "close", "enabled", "config_version", "gate_state", "gate_bars")


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that happened.

    Parameters
    ----------
    alert_id : str
        The same whenever it is found again.
    event : str
        Its kind.
    market : Market or None
        Where; None for a failed run.
    at_ms : int
        When, epoch milliseconds UTC.
    message : str
        One sentence.
    """

    alert_id: str
    event: Event | Literal["test"]
    market: Market | None
    at_ms: int
    message: str


def alerts_of(ws: Workspace, market: Market, stale_minutes: int) -> list[Alert]:
    """Return what happened in a market in the last day, oldest first."""
    newest = ws.warehouse.latest(market, "regime_verdicts")
    found: list[Alert] = [*_stops(ws, market), *_stale(ws, market, stale_minutes)]
    if newest is not None:
        window = Window(newest - LOOKBACK_HOURS * HOUR_MS, newest + HOUR_MS)
        found += [*_verdicts(ws, market, window), *_advice(ws, market, window)]
    return sorted(found, key=lambda alert: alert.at_ms)


def _name(market: Market) -> str:
    return f"{market.symbol} {market.timeframe}"


def _verdicts(ws: Workspace, market: Market, window: Window) -> Iterator[Alert]:
    rows = ws.warehouse.read_range("regime_verdicts", market, window, ["hour_start", "verdict", "confidence"])
    hours, codes, confidences = (column.tolist() for column in rows.values())
    for at in range(1, len(hours)):
        if codes[at] != codes[at - 1]:
            now, before, closed = VERDICTS[codes[at]], VERDICTS[codes[at - 1]], hours[at] + HOUR_MS
            message = f"{_name(market)}: {before} became {now} at {to_iso(closed)}, confidence {confidences[at]:.2f}."
            yield Alert(f"verdict {market} {to_iso(hours[at])} {now}", "verdict", market, closed, message)


def _stops(ws: Workspace, market: Market) -> Iterator[Alert]:
    for stop in ws.warehouse.grids.stops(market.symbol):
        why = f": {stop.why}" if stop.why else ""
        when = to_iso(stop.stopped_at_ms)
        second = to_iso(stop.stopped_at_ms // 1000 * 1000)
        message = f"{market.symbol}: the grid was stopped at {second} by {stop.who}, {stop.cause}{why.rstrip('.')}."
        yield Alert(f"stop {market.symbol} {when}", "stop", market, stop.stopped_at_ms, message)


def _advice(ws: Workspace, market: Market, window: Window) -> Iterator[Alert]:
    """Permissions to restart, and hours in which the price left the configured grid."""
    rows = ws.warehouse.read_range("grid_advice", market, window, list(_ADVICE))
    versions = {config.version: config for config in ws.warehouse.grids.history(market.symbol)}
    hours = [
        dict(zip(_ADVICE, values, strict=True)) for values in zip(*(rows[n].tolist() for n in _ADVICE), strict=True)
    ]
    for before, hour in pairwise(hours):
        yield from _permitted(market, before, hour)
        yield from _outside(market, versions, before, hour)


def _permitted(market: Market, before: dict[str, Any], hour: dict[str, Any]) -> Iterator[Alert]:
    if hour["gate_state"] == _PERMITTED != before["gate_state"]:
        closed, bars = hour["hour_start"] + HOUR_MS, hour["gate_bars"]
        message = f"{_name(market)}: a fresh grid is permitted from {to_iso(closed)}, {bars} bars after the stop."
        yield Alert(f"permit {market} {to_iso(hour['hour_start'])}", "permit", market, closed, message)


def _outside(
    market: Market, versions: dict[int, GridConfig], before: dict[str, Any], hour: dict[str, Any]
) -> Iterator[Alert]:
    beyond = _beyond(versions, hour)
    if beyond and not _beyond(versions, before):
        config, closed = versions[hour["config_version"]], hour["hour_start"] + HOUR_MS
        message = (
            f"{_name(market)}: the price {hour['close']:,.10g} is {beyond} the grid {config.lower:,f} to "
            f"{config.upper:,f} (version {config.version}) since {to_iso(closed)}."
        )
        yield Alert(f"outside {market} {to_iso(hour['hour_start'])}", "outside", market, closed, message)


def _beyond(versions: dict[int, GridConfig], hour: dict[str, Any]) -> str:
    """How far the close is outside the bounds of an enabled grid, in words; empty inside."""
    config = versions.get(hour["config_version"])
    if config is None or not hour["enabled"]:
        return ""
    distance = edge_distance_pct(config, hour["close"])
    side = "below" if hour["close"] < float(config.lower) else "above"
    return f"{-distance:.1f}% {side}" if distance < 0 else ""


def _stale(ws: Workspace, market: Market, stale_minutes: int) -> Iterator[Alert]:
    """One alert for each standstill of a market that has a live source."""
    newest, spec = ws.warehouse.latest(market), ws.universe.spec(market)
    if newest is None or spec.source not in LIVE_SOURCES:
        return
    ends = [end for end in (ws.universe.end_ms, spec.until_ms) if end is not None]
    now, closed = min([ws.clock(), *ends]), newest + market.step_ms
    minutes = (now - closed - market.step_ms) // _MINUTE_MS
    if minutes >= stale_minutes:
        message = (
            f"{_name(market)}: the newest candle closed at {to_iso(closed)}, and the next is {minutes:,} minutes late "
            f"(limit {stale_minutes:,})."
        )
        yield Alert(f"stale {market} {to_iso(closed)}", "stale", market, ws.clock(), message)
