"""The tool on grids: a configured grid beside the discovered range of an hour, with that hour's advice and gates.

See `domain.grids` for the comparison and the advice.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.formats import to_fields
from regime_pipeline.domain.grids.versions import History, valid_at
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.mcp.arguments import GridQuery, moment_ms
from regime_pipeline.mcp.markets import stored_market
from regime_pipeline.mcp.responses import single
from regime_pipeline.mcp.verdict_tools import no_verdict, verdict_at
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.advice import advice_at
from regime_pipeline.services.queries.freshness import Freshness
from regime_pipeline.services.queries.grid_comparison import grid_comparison
from regime_pipeline.services.queries.json_records import plain
from regime_pipeline.services.restarts import gates_now

_ADVICE: Final = (
    *("status", "action", "is_actionable", "inventory", "config_version", "closes_outside", "bars_since_reposition"),
    *("proposed_lower", "proposed_upper", "edge_distance_atr", "hold_24h", "hold_72h", "graduation"),
)
_GATES: Final = ("gate_state", "stopped_at", "gate_bars", "gate_held", "permit_bars", "gate_checks", "restart_grid")
_VERDICT: Final = ("verdict", "confidence", "dominant_risk", "reason", "range", "as_of_close", "data_age_seconds")


def compare_grid(ws: Workspace, query: GridQuery) -> dict[str, Any]:
    """Answer `compare_grid`."""
    asked = None if query.time is None else moment_ms("time", query.time) // HOUR_MS * HOUR_MS
    market = stored_market(ws, query.symbol, query.timeframe)
    history = _history(ws, market.symbol)
    newest = ws.warehouse.latest(market, "regime_verdicts") if asked is None else asked
    hour = 0 if newest is None else newest
    verdict = verdict_at(ws, market, hour)
    if verdict is None:
        raise no_verdict(ws, market, hour)
    config = history[-1] if asked is None else _version_at(history, hour + HOUR_MS)
    return single(
        {
            "symbol": market.symbol,
            "timeframe": market.timeframe,
            "now": to_iso(ws.clock()),
            "hour_start": verdict["hour_start"],
            "hour_end": verdict["hour_end"],
            "known_at": verdict["known_at"],
            "configured": to_fields(config),
            "discovered": {name: verdict[name] for name in _VERDICT},
            "comparison": _comparison(ws, market, hour, config, verdict["range"]),
            "advice": _advice(ws, market, hour, config.version),
            "stop": _stop(ws, market) if asked is None else None,
            "stale": verdict["stale"],
        }
    )


def _stop(ws: Workspace, market: Market) -> dict[str, Any] | None:
    """The stop in force with its gates now, from the moment of the stop on; None without one."""
    found = gates_now(ws, market)
    return None if found is None else found.document()


def _history(ws: Workspace, symbol: str) -> History:
    """The versions of a symbol's grid, at least one."""
    history = ws.warehouse.grids.history(symbol)
    if not history:
        known = ", ".join(ws.warehouse.grids.symbols()[:10]) or "none"
        raise MissingDataError(
            f"{symbol} has no grid (symbols with one: {known}).",
            f"Make one with `regime grid set {symbol} --why TEXT`.",
        )
    return history


def _version_at(history: History, moment_ms_: int) -> GridConfig:
    """The version valid at a moment."""
    place = int(valid_at(history, np.array([moment_ms_], dtype=np.int64))[0])
    if place < 0:
        raise MissingDataError(
            f"The grid of {history[0].symbol} did not exist at {to_iso(moment_ms_)}.",
            f"Its first version is valid from {to_iso(history[0].valid_from_ms)}; leave time out for the newest hour.",
        )
    return history[place]


def _comparison(
    ws: Workspace, market: Market, hour: int, config: GridConfig, discovered: dict[str, Any]
) -> dict[str, Any]:
    """How the discovered range stands to the configured one; nulls where nothing is discovered."""
    measured = ws.warehouse.read_range("features", market, Window.hour(hour), ["close", "atr"])
    close, atr = (float(measured[name][0]) if len(measured[name]) else np.nan for name in ("close", "atr"))
    low, high = (np.nan if discovered[edge] is None else discovered[edge] for edge in ("low", "high"))
    return grid_comparison(config, close, atr, low, high, ws.policy)


def _advice(ws: Workspace, market: Market, hour: int, version: int) -> dict[str, Any] | None:
    """The stored advice of the hour with its reasons in sentences and its restart gates; None without a row."""
    found = advice_at(ws, market, hour)
    if found is None:
        return None
    row = {name: plain(value) for name, value in found.items()}
    return {
        **{name: row[name] for name in _ADVICE},
        "is_of_configured_version": row["config_version"] == version,
        "reasons": [{"outcome": reason["outcome"], "sentence": reason["sentence"]} for reason in row["reasons"]],
        "gates": {name: row[name] for name in _GATES},
        "stale": Freshness(ws, market).stale_reason(market, "grid_advice", hour, row["advice_hash"]),
    }
