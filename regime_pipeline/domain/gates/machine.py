"""The state machine of the restart gates: `(state, bar) -> state`, pure, one gate at a time, passed ones re-checked.

What a gate demands of a bar stands in `conditions`; nothing is measured here, and no confidence is ever looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.window import to_iso
from regime_pipeline.policy_gates import GateThresholds

GATES: Final = 3
_NO_FAILS: Final = (0,) * GATES
GATE_STATES: Final = ("NONE", "GATE_1", "GATE_2", "GATE_3", "PASSED", "PERMITTED")
"""NONE: not stopped. GATE_k: waits at gate k. PASSED: all gates passed, but the time floor or this bar withholds."""


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
    is_permitted : bool
        The newest bar permits a fresh grid.
    """

    stopped_at_ms: int
    passed: int = 0
    fails: tuple[int, ...] = _NO_FAILS
    held: int = 0
    bars: int = 0
    last_close_ms: int | None = None
    is_permitted: bool = False

    @property
    def name(self) -> str:
        """One of `GATE_STATES`, never NONE."""
        if self.passed < GATES:
            return GATE_STATES[1 + self.passed]
        return "PERMITTED" if self.is_permitted else "PASSED"


def step(state: GateState, close_ms: int, holds: Callable[[int], bool], thresholds: GateThresholds) -> GateState:
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
        `hold_bars`, `fail_bars`, `floor_bars`.

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
    bars = state.bars + 1
    seen = replace(state, bars=bars, last_close_ms=close_ms, is_permitted=False)
    failing = next((gate for gate in range(state.passed) if not holds(gate)), None)
    if failing is not None:
        return _fail(seen, failing, thresholds)
    after = _advance(replace(seen, fails=_NO_FAILS), holds, thresholds)
    return replace(after, is_permitted=after.passed == GATES and bars >= thresholds.floor_bars)


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
    """Look at the gate that is waited for: gates 1 and 2 pass with one bar, gate 3 after holding some."""
    if state.passed == GATES:
        return state
    if not holds(state.passed):
        return replace(state, held=0)
    if state.passed < GATES - 1:
        return replace(state, passed=state.passed + 1)
    held = state.held + 1
    return replace(state, held=held, passed=GATES if held >= thresholds.hold_bars else state.passed)
