"""The state machine of the restart gates: `(state, bar) -> state`, pure, one gate at a time, passed gates re-checked.

Confidence is never read. See `conditions` for what a gate requires of a bar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.restart_gates.range_since_stop import ClassWeights
from regime_pipeline.policy.gates import GateThresholds

FOREVER_MS = 2**62
"""Later than any time, epoch milliseconds UTC."""


@dataclass(frozen=True, slots=True)
class StopEvent:
    """A stop of a symbol's grid.

    Parameters
    ----------
    symbol : str
        `BASE-QUOTE`.
    stopped_at_ms : int
        When it was stopped, epoch milliseconds UTC.
    cause, who, why : str
        What stopped it (names of quick stops, or MANUAL), by whom, and in words.
    """

    symbol: str
    stopped_at_ms: int
    cause: str
    who: str
    why: str


class RestartRefusedError(UsageError):
    """A grid was to be enabled while a stop is in force whose gates do not permit it; says what they wait for."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stop while it is in force: from `start_ms` on, before `end_ms`; `config` is the grid that was stopped."""

    start_ms: int
    end_ms: int
    config: GridConfig


def episodes(stops: Sequence[StopEvent], grids: Sequence[GridConfig]) -> tuple[Episode, ...]:
    """Return every stop's episode, oldest first.

    Parameters
    ----------
    stops : sequence of StopEvent
        Of one symbol, oldest first. One before the first version of the grid is left out.
    grids : sequence of GridConfig
        Versions of the symbol's grid, oldest first.

    Notes
    -----
    A stop ends with the next one, or with the first later version that is enabled, unless that was enabled against the
    gates (`OVERRIDE`).
    """
    found = []
    for place, stop in enumerate(stops):
        before = [config for config in grids if config.valid_from_ms <= stop.stopped_at_ms]
        if not before:
            continue
        again = [later.stopped_at_ms for later in stops[place + 1 :]]
        again += [g.valid_from_ms for g in grids if _ends_stops(g) and g.valid_from_ms > stop.stopped_at_ms]
        found.append(Episode(stop.stopped_at_ms, min(again, default=FOREVER_MS), before[-1]))
    return tuple(found)


def stop_in_force(stops: Sequence[StopEvent], grids: Sequence[GridConfig]) -> StopEvent | None:
    """Return the stop that nothing has ended so far, None where there is none; arguments as `episodes`."""
    newest = episodes(stops, grids)[-1:]
    return stops[-1] if newest and newest[0].end_ms == FOREVER_MS else None


def _ends_stops(config: GridConfig) -> bool:
    """Enabled as the gates allow, or before there was a stop."""
    return config.enabled and config.origin != "OVERRIDE"


def permitted_until_ms(market: Market, close_ms: int, permit_bars: int) -> int | None:
    """Return when a permission ends, epoch milliseconds UTC, None where there is none.

    Parameters
    ----------
    market : Market
        Gives the distance of two observations.
    close_ms : int
        Close of the hour that the gates were judged at, epoch milliseconds UTC.
    permit_bars : int
        See `GateState`, of the newest observation closed by then.
    """
    every = market.observation_ms
    return (close_ms // every + permit_bars) * every if permit_bars else None


GATES: Final = 3
_NO_FAILS: Final = (0,) * GATES


@dataclass(frozen=True, slots=True)
class GateState:
    """Where a stopped grid stands.

    Parameters
    ----------
    stopped_at_ms : int
        When it was stopped, epoch milliseconds UTC.
    passed : int
        Gates passed, 0..3.
    fails : tuple of int
        Bars in a row that each gate has failed since it was passed.
    held : int
        Bars in a row that gate 3 has held, until it is passed.
    bars : int
        Bars since the stop.
    last_close_ms : int or None
        Close of the newest bar seen, epoch milliseconds UTC; None before the first.
    permit_bars : int
        Bars for which a fresh grid is still permitted, this one included; 0 without a permission.
    range_weights : tuple of float or None
        Weights of RANGE, TREND and VOLATILE since the stop (`range_since_stop`); None while nothing is known of them.
    """

    stopped_at_ms: int
    passed: int = 0
    fails: tuple[int, ...] = _NO_FAILS
    held: int = 0
    bars: int = 0
    last_close_ms: int | None = None
    permit_bars: int = 0
    range_weights: ClassWeights | None = None

    @property
    def name(self) -> str:
        """One of `GATE_STATES`, never NONE."""
        return "PERMITTED" if self.is_permitted else GATE_STATES[1 + self.passed]

    @property
    def is_permitted(self) -> bool:
        """A fresh grid may start now."""
        return self.permit_bars > 0


def step(
    state: GateState, close_ms: int, holds: Callable[[int], bool], thresholds: GateThresholds, is_barred: bool = False
) -> GateState:
    """Return the state after one more bar.

    Parameters
    ----------
    state : GateState
        Before the bar; `GateState(stopped_at_ms)` right after the stop.
    close_ms : int
        Close of the bar, epoch milliseconds UTC, after the stop.
    holds : callable
        Whether gate 1, 2 or 3 (given as 0, 1, 2) holds on the bar. A gate is asked only if every gate before it holds
        on this very bar.
    thresholds : GateThresholds
        `hold_bars` and `weighed_hold_bars`, `fail_bars`, `floor_bars`, `permit_bars`.
    is_barred : bool
        The verdict on the bar is TREND or TRANSITION: nothing is permitted, whatever the gates say.

    Returns
    -------
    GateState
        The same state for the bar seen last.

    Raises
    ------
    UsageError
        The bar closed before the newest one seen, or not after the stop.
    """
    if close_ms == state.last_close_ms:
        return state
    _refuse_older(state, close_ms)
    seen = replace(state, bars=state.bars + 1, last_close_ms=close_ms)
    failing = next((gate for gate in range(state.passed) if not holds(gate)), None)
    if failing is not None:
        return replace(_fail(seen, failing, thresholds), permit_bars=0 if failing == 0 or is_barred else _left(seen))
    after = _advance(replace(seen, fails=_NO_FAILS), holds, thresholds)
    is_passed = after.passed == GATES and after.bars >= thresholds.floor_bars
    return replace(after, permit_bars=0 if is_barred else thresholds.permit_bars if is_passed else _left(seen))


def _left(state: GateState) -> int:
    """What is left of a permission after one more bar that neither renews nor withdraws it."""
    return max(state.permit_bars - 1, 0)


def _fail(state: GateState, gate: int, thresholds: GateThresholds) -> GateState:
    """A passed gate fails on this bar: those before it hold, those behind it are not looked at."""
    count = state.fails[gate] + 1
    if count >= thresholds.fail_bars:
        return replace(state, passed=gate, fails=_NO_FAILS, held=0)
    fails = tuple(0 if k < gate else count if k == gate else state.fails[k] for k in range(GATES))
    return replace(state, fails=fails, held=0)


def _refuse_older(state: GateState, close_ms: int) -> None:
    """Refuse bars out of order."""
    newest = state.stopped_at_ms if state.last_close_ms is None else state.last_close_ms
    if close_ms <= newest:
        raise UsageError(
            f"A bar that closed at {to_iso(close_ms)} came after {to_iso(newest)} was seen.",
            "Give bars in the order of time, from the stop on.",
        )


def _advance(state: GateState, holds: Callable[[int], bool], thresholds: GateThresholds) -> GateState:
    """Look at the gate that is waited for: gates 1 and 2 pass with one bar, gate 3 after holding some.

    Where the weights since the stop are among its conditions they have done the waiting.
    """
    if state.passed == GATES:
        return state
    if not holds(state.passed):
        return replace(state, held=0)
    if state.passed < GATES - 1:
        return replace(state, passed=state.passed + 1)
    held = state.held + 1
    needed = thresholds.hold_bars if state.range_weights is None else thresholds.weighed_hold_bars
    return replace(state, held=held, passed=GATES if held >= needed else state.passed)
