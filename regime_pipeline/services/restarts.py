"""The way back after a stop: what the restart gates say now, the refusal while they wait, the grid they permit.

See `domain.restart_gates` for the gates, `domain.grids.probation` for the grid, `grids` for stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.grids.config import GridConfig, Origin
from regime_pipeline.domain.grids.named_conditions import worded
from regime_pipeline.domain.grids.schema import GATE_STATES, without_stop
from regime_pipeline.domain.grids.versions import History, new_version
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.restart_gates.machine import (
    RestartRefusedError,
    StopEvent,
    permitted_until_ms,
    stop_in_force,
)
from regime_pipeline.domain.restart_gates.replay import worded_restart
from regime_pipeline.services.chain.reading import read_alone
from regime_pipeline.services.chain.stage_work import gates_of
from regime_pipeline.services.chain.workspace import Workspace

_NOT_A_FIELD: Final = ("spacing_quote", "atr_quote")


@dataclass(frozen=True, slots=True)
class GatesNow:
    """The restart gates of a stop that is in force, as far as the stored hours of a market show them.

    Parameters
    ----------
    market : Market
        Whose hours they were judged by.
    stop : StopEvent
        When, by whom and why.
    gate_state : str
        One of `schema.GATE_STATES`; GATE_1 until an hour has closed since the stop.
    gate_bars, gate_held, permit_bars : int
        See `schema.GATE_COLUMNS`.
    gate_checks : list of dict
        The conditions that were looked at, each with its sentence.
    restart_grid : dict or None
        The permitted grid, or why none fits, with a sentence.
    as_of_ms : int or None
        Close of the newest hour, epoch milliseconds UTC; None while none has closed since the stop.
    permitted_until_ms : int or None
        When the permission ends, epoch milliseconds UTC; None without one.
    """

    market: Market
    stop: StopEvent
    gate_state: str
    gate_bars: int
    gate_held: int
    permit_bars: int
    gate_checks: list[dict[str, Any]]
    restart_grid: dict[str, Any] | None
    as_of_ms: int | None
    permitted_until_ms: int | None

    def is_permitted_at(self, moment_ms: int) -> bool:
        """Whether a fresh grid may start at a moment."""
        return self.permitted_until_ms is not None and moment_ms < self.permitted_until_ms

    @property
    def sentence(self) -> str:
        """Where the gates stand, in one sentence with numbers."""
        if self.as_of_ms is None:
            return "no hour has closed since then, so its restart gates wait at gate 1."
        if self.permitted_until_ms is not None:
            return f"its gates permit a fresh probationary grid until {to_iso(self.permitted_until_ms)}."
        if self.gate_state == "PASSED":
            return f"its gates are passed after {self.gate_bars} bars, but the time floor or the verdict withholds it."
        missed = next((made["sentence"] for made in self.gate_checks if not made["is_met"]), "more bars must hold it.")
        return f"its restart gates wait at gate {self.gate_state[-1]} after {self.gate_bars} bars: {missed}"

    def refusal(self, todo: str) -> RestartRefusedError:
        """Return the refusal to start the grid: the stop and where its gates stand."""
        what = f"The grid of {self.market.symbol} was stopped {said_of(self.stop)}; {self.sentence}"
        return RestartRefusedError(what, todo)

    def document(self) -> dict[str, Any]:
        """Return what every face shows: the stop, the gates and until when a permission lasts."""
        names = ("gate_state", "gate_bars", "gate_held", "permit_bars", "gate_checks", "restart_grid")
        until, as_of = self.permitted_until_ms, self.as_of_ms
        return {
            "stop": stop_document(self.stop),
            "gates_as_of": None if as_of is None else to_iso(as_of),
            **{name: getattr(self, name) for name in names},
            "permitted_until": None if until is None else to_iso(until),
            "sentence": f"Stopped {said_of(self.stop)}; {self.sentence}",
        }


def stop_document(stop: StopEvent) -> dict[str, Any]:
    """Return a stop as JSON values."""
    return {"stopped_at": to_iso(stop.stopped_at_ms), "cause": stop.cause, "who": stop.who, "why": stop.why}


def said_of(stop: StopEvent) -> str:
    """Return when, by whom and why, to follow the word stopped."""
    return f"{to_iso(stop.stopped_at_ms)} by {stop.who} ({stop.cause}): {stop.why}"


def current_stop(ws: Workspace, symbol: str) -> StopEvent | None:
    """Return the stop of a symbol's grid that is in force, None without one."""
    return stop_in_force(ws.warehouse.grids.stops(symbol), ws.warehouse.grids.history(symbol))


def deciding_market(ws: Workspace, symbol: str) -> Market:
    """Return the market by which a symbol's restart is judged: hourly bars, else the nearest timeframe, longer first.

    Raises
    ------
    MissingDataError
        No market of the symbol is stored.
    """
    stored = [market for market in ws.warehouse.markets() if market.symbol == symbol]
    if not stored:
        raise MissingDataError(f"No candle of {symbol} is stored.", "Import or materialize one of its markets first.")
    return min(stored, key=nearness_to_an_hour)


def nearness_to_an_hour(market: Market) -> tuple[bool, int]:
    """Return what sorts hourly bars first, then longer ones, then shorter ones."""
    return market.step_ms < HOUR_MS, abs(market.step_ms - HOUR_MS)


def gates_now(ws: Workspace, market: Market) -> GatesNow | None:
    """Return the gates of the stop in force, replayed up to the newest hour with a verdict; None without a stop."""
    grids = ws.warehouse.grids.history(market.symbol)
    stop = stop_in_force(ws.warehouse.grids.stops(market.symbol), grids)
    if stop is None:
        return None
    newest = ws.warehouse.latest(market, "regime_verdicts")
    if newest is None or newest + HOUR_MS < stop.stopped_at_ms:
        rows, close = without_stop(1), None
    else:
        rows, close = read_alone(ws, gates_of(ws, market, Window.hour(newest), grids)), newest + HOUR_MS
    return _gates(market, stop, {name: column[0] for name, column in rows.items()}, close)


def _gates(market: Market, stop: StopEvent, row: Mapping[str, Any], close_ms: int | None) -> GatesNow:
    left = int(row["permit_bars"])
    return GatesNow(
        market=market,
        stop=stop,
        gate_state=GATE_STATES[int(row["gate_state"])] if close_ms is not None else "GATE_1",
        gate_bars=int(row["gate_bars"]),
        gate_held=int(row["gate_held"]),
        permit_bars=left,
        gate_checks=worded(orjson.loads(row["gate_checks"])),
        restart_grid=worded_restart(orjson.loads(row["restart_grid"])),
        as_of_ms=close_ms,
        permitted_until_ms=None if close_ms is None else permitted_until_ms(market, close_ms, left),
    )


def restart_refusal(ws: Workspace, symbol: str) -> RestartRefusedError:
    """Return the refusal to enable a symbol's grid: the stop in force, where its gates stand and what to do."""
    market = deciding_market(ws, symbol)
    found = gates_now(ws, market)
    if found is None:
        return RestartRefusedError(f"The grid of {symbol} was changed meanwhile.", "Read it again.")
    todo = (
        f"Start that grid with `regime gates restart {symbol}`."
        if found.is_permitted_at(ws.clock())
        else f"Follow them with `regime gates show {market}`; `regime gates restart {symbol}` starts what they permit. "
        "To enable it against them, override explicitly and say why (`--override`); the stop then stays in force."
    )
    return found.refusal(todo)


def restart_grid(ws: Workspace, market: Market, *, who: str, why: str) -> GridConfig:
    """Start the probationary grid that the gates permit, which ends the stop, and return its version.

    Raises
    ------
    UsageError
        No stop is in force, or no grid fits the bars since the stop.
    RestartRefusedError
        The gates do not permit a restart now.
    StaleGridError
        Another version was stored meanwhile.
    """
    found = gates_now(ws, market)
    if found is None:
        raise UsageError(f"No stop of {market.symbol} is in force.", "Enable its grid with `regime grid set`.")
    if not found.is_permitted_at(ws.clock()):
        raise _not_now(found)
    fresh = found.restart_grid
    if fresh is None or fresh["grid"] is None:
        said = "" if fresh is None else fresh["sentence"]
        raise UsageError(
            f"The gates of {market} permit a restart, but no grid can start. {said}", "Wait for more bars."
        )
    fields = {name: value for name, value in fresh["grid"].items() if name not in _NOT_A_FIELD}
    update = fields | {"limit_lower": None, "limit_upper": None}
    history = ws.warehouse.grids.history(market.symbol)
    added = next_version(ws, history, update, len(history), who=who, why=why, origin="RESTART")
    ws.warehouse.grids.append(added, ws.start_run(""))
    return added


def _not_now(found: GatesNow) -> RestartRefusedError:
    """Why the gates do not permit a restart at this moment."""
    until = found.permitted_until_ms
    if until is None:
        return found.refusal(f"Follow them with `regime gates show {found.market}`.")
    return RestartRefusedError(
        f"The permission to restart {found.market.symbol} ended at {to_iso(until)}, and the newest hour of "
        f"{found.market} closed at {to_iso(found.as_of_ms or until)}.",
        "Bring the market up to date with `regime backfill`, then ask again.",
    )


def next_version(
    ws: Workspace,
    history: History,
    update: Mapping[str, Any],
    expected_version: int,
    *,
    who: str,
    why: str,
    origin: Origin = "SET",
) -> GridConfig:
    """Return the version that an update makes now; errors as `versions.new_version`."""
    when = datetime.fromtimestamp(ws.clock() / 1000, UTC)
    made = new_version(history, update, expected_version=expected_version, who=who, when=when, why=why, origin=origin)
    return made[-1]
