"""Every market's newest hour in one row: the one question of `regime status`, `/api/overview` and `list_markets`.

What needs attention comes first. See `advice` for the reasons behind a row, `grid_events` for what led to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from regime_pipeline.domain.grids.comparison import edge_distance_pct
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.known_at import hour_known_at
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.restart_gates.machine import StopEvent, permitted_until_ms, stop_in_force
from regime_pipeline.services.chain.scheduling import LIVE_SOURCES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.freshness import Freshness
from regime_pipeline.services.queries.warm_up import verdict_expected_ms
from regime_pipeline.services.universe import MarketSpec
from regime_pipeline.storage.bulk.newest_rows import NewestRow

ATTENTION: Final = ("OUTSIDE", "RESTART", "ACT", "LATE", "")
"""What a row asks for, most urgent first: the price has left the grid; a restart is permitted; other advice to act on;
data that should be there is not; nothing."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What all rows share."""

    grids: Mapping[str, Sequence[GridConfig]]
    stops: Mapping[str, Sequence[StopEvent]]
    freshness: Freshness
    specs: Mapping[Market, MarketSpec]


def overview(ws: Workspace, markets: Sequence[Market] = ()) -> list[dict[str, Any]]:
    """Return the newest state of every stored market, what needs attention first, then by name.

    Parameters
    ----------
    ws : Workspace
        Its clock says how old data is.
    markets : sequence of Market, optional
        Only these.

    Returns
    -------
    list of dict
        JSON values; times ISO-8601 UTC (`known_at`: close of the newest verdict's hour, as is `as_of`), prices in quote
        currency, probabilities and confidence 0..1. `last_close`: close of the newest candle. `since`: close of the
        first hour of the verdict's present run. `*_position`: the close is `inside`, `above` or `below`.
        `edge_distance_*`: from the close to the nearest edge of the configured grid, negative outside.
        `verdict_expected_at`: when a market without a verdict has one again if nothing else is missing.
    """
    grids = ws.warehouse.grids
    specs = {spec.market: spec for spec in ws.universe.specs}
    known = _Known(grids.histories(), grids.all_stops(), Freshness(ws), specs)
    rows = [_row(ws, row, known) for row in ws.warehouse.newest_rows() if not markets or row.market in markets]
    return sorted(rows, key=lambda row: (ATTENTION.index(row["attention"]), row["symbol"], row["timeframe"]))


def _row(ws: Workspace, row: NewestRow, known: _Known) -> dict[str, Any]:
    market, verdict = row.market, row.verdict
    head = {
        "symbol": market.symbol,
        "timeframe": market.timeframe,
        **_verdict(ws, row, known.freshness),
        **_price(row),
        **_grid(row, known),
    }
    closed = _closed_ms(row)
    age = None if closed is None else ws.clock() - closed
    known_at = None if not verdict else to_iso(hour_known_at(verdict["hour_start"]))
    is_late = age is not None and _is_live(ws, known.specs.get(market)) and age > _patience_ms(ws, market)
    return head | {
        "last_close": None if closed is None else to_iso(closed),
        "as_of": known_at,
        "known_at": known_at,
        "data_age_seconds": None if age is None else age // 1000,
        "is_late": is_late,
        "attention": _attention(ws, head, is_late),
    }


def _verdict(ws: Workspace, row: NewestRow, freshness: Freshness) -> dict[str, Any]:
    names = ("verdict", "confidence", "direction", "dominant_risk", "hold_24h", "hold_72h")
    verdict, since = row.verdict, row.since
    if not verdict:
        return dict.fromkeys((*names, "since", "verdict_expected_at", "stale"))
    hour = verdict["hour_start"]
    expected = verdict_expected_ms(ws, row.market, hour) if verdict["verdict"] == "INSUFFICIENT_DATA" else None
    return {
        **{name: verdict[name] for name in names},
        "since": to_iso(_run_start(since["verdict_before"], since["first_verdict"])),
        "verdict_expected_at": None if expected is None else to_iso(expected),
        "stale": freshness.stale_reason(row.market, "regime_verdicts", hour, verdict["policy_hash"]),
    }


def _run_start(before: int | None, first: int | None) -> int:
    """Close of the first hour of a run, from the hour before it or the first of all."""
    return (before + HOUR_MS if before is not None else first or 0) + HOUR_MS


def _price(row: NewestRow) -> dict[str, Any]:
    close = row.candle.get("close")
    low, high = row.verdict.get("range_low"), row.verdict.get("range_high")
    return {"close": close, "range_low": low, "range_high": high, "range_position": _position(close, low, high)}


def _position(close: float | None, low: float | None, high: float | None) -> str | None:
    if close is None or low is None or high is None:
        return None
    return "below" if close < low else "above" if close > high else "inside"


_OF_THE_GRID: Final = (
    *("grid", "grid_version", "grid_lower", "grid_upper", "grid_position", "edge_distance_pct", "edge_distance_atr"),
    *("grid_hold_24h", "grid_hold_72h", "outside_since", "action", "is_actionable", "advice_stale"),
    *("stopped_at", "stopped_by", "stop_cause", "stop_why", "gate_state", "permitted_until"),
)


def _grid(row: NewestRow, known: _Known) -> dict[str, Any]:
    """Price against the configured grid, the advice on it, and the stop that is in force."""
    history = known.grids.get(row.market.symbol, ())
    nothing: dict[str, Any] = dict.fromkeys(_OF_THE_GRID)
    if not history:
        return nothing | {"grid": "none"}
    config, close = history[-1], row.candle.get("close")
    stop = stop_in_force(known.stops.get(row.market.symbol, ()), history)
    lower, upper = float(config.lower), float(config.upper)
    state = "enabled" if config.enabled else "disabled" if stop is None else "stopped"
    is_its = row.advice.get("config_version") == config.version
    distance = row.advice.get("edge_distance_atr") if is_its else None
    return nothing | {
        "grid": state,
        "grid_version": config.version,
        "grid_lower": lower,
        "grid_upper": upper,
        "grid_position": _position(close, lower, upper),
        "edge_distance_pct": None if close is None else edge_distance_pct(config, close),
        "edge_distance_atr": None if distance is None else -distance,
        **_advice(row, known.freshness, is_its),
        **_stop(row, stop),
    }


def _advice(row: NewestRow, freshness: Freshness, is_its: bool) -> dict[str, Any]:
    """The stored advice on the newest version of the grid; only why it is stale where it is on another."""
    advice, since = row.advice, row.since
    if not advice:
        return {}
    if not is_its:
        return {"advice_stale": "Older than the newest version of the grid; the next hour brings it up to date."}
    hour, is_outside = advice["hour_start"], advice["status"] == "OUTSIDE"
    return {
        "grid_hold_24h": advice["hold_24h"],
        "grid_hold_72h": advice["hold_72h"],
        "outside_since": to_iso(_run_start(since["status_before"], since["first_advice"])) if is_outside else None,
        "action": advice["action"],
        "is_actionable": advice["is_actionable"],
        "advice_stale": freshness.stale_reason(row.market, "grid_advice", hour, advice["advice_hash"]),
    }


def _stop(row: NewestRow, stop: StopEvent | None) -> dict[str, Any]:
    """The stop in force at once, its gates as far as an hour has closed since then."""
    if stop is None:
        return {}
    advice = row.advice
    is_seen = bool(advice) and advice["stopped_at"] == stop.stopped_at_ms
    until = permitted_until_ms(row.market, advice["hour_start"] + HOUR_MS, advice["permit_bars"]) if is_seen else None
    return {
        "stopped_at": to_iso(stop.stopped_at_ms),
        "stopped_by": stop.who,
        "stop_cause": stop.cause,
        "stop_why": stop.why,
        "gate_state": advice["gate_state"] if is_seen else "GATE_1",
        "permitted_until": None if until is None else to_iso(until),
    }


def _closed_ms(row: NewestRow) -> int | None:
    """Close of the newest candle, epoch milliseconds UTC; None without one."""
    return int(row.candle["open_time"] + row.market.step_ms) if row.candle else None


def _is_live(ws: Workspace, spec: MarketSpec | None) -> bool:
    """New hours are expected: the market is listed and still trades, its source may know more, the span has no end."""
    if spec is None or spec.until_ms is not None or ws.universe.end_ms is not None:
        return False
    return ws.universe.origin(spec.market).source in LIVE_SOURCES


def _patience_ms(ws: Workspace, market: Market) -> int:
    """How old the newest close may be: as many observations as a quick stop allows."""
    return ws.policy.grids.quick_stops.data_age_bars_above * market.observation_ms


def _attention(ws: Workspace, head: Mapping[str, Any], is_late: bool) -> str:
    if head["grid"] == "enabled" and head["grid_position"] in ("above", "below"):
        return "OUTSIDE"
    if head["permitted_until"] is not None and head["permitted_until"] > to_iso(ws.clock()):
        return "RESTART"
    if head["is_actionable"] and head["grid"] != "stopped":
        return "ACT"
    return "LATE" if is_late else ""
