"""Gates for the tests: drawn courses of three gates, and a simulated market with its rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.restart_gates.machine import GateState, StopEvent, step
from regime_pipeline.domain.restart_gates.replay import GateHistory
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.policy.gates import GateThresholds
from regime_pipeline_tests.domain.grids.factories import FIELDS
from regime_pipeline_tests.domain.verdicts.factories import NULLS

POLICY = default_policy()
MARKET = Market("TEST-USDT", "1h")
STOP_MS = 1_000 * HOUR_MS
Course = list[tuple[bool, ...]]
_OFTEN = st.sampled_from([True] * 7 + [False])
_SELDOM = st.sampled_from([False] * 11 + [True])
COURSES = st.lists(st.tuples(_OFTEN, _OFTEN, _OFTEN, _SELDOM), min_size=24, max_size=60)
"""Of each bar whether gates 1 to 3 hold and whether the verdict bars a restart; many courses get a permission."""
THRESHOLDS = st.builds(
    lambda hold, fail, floor, permit: thresholds(hold_bars=hold, fail_bars=fail, floor_bars=floor, permit_bars=permit),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 15),
    st.integers(1, 8),
)


def thresholds(**update: Any) -> GateThresholds:
    return POLICY.gates.default.model_copy(update=update)


def with_gates(symbol: str = "", **update: Any) -> Policy:
    """The policy with other thresholds, of one symbol or of all."""
    changed = thresholds(**update)
    gates = {"symbols": {symbol: changed}} if symbol else {"default": changed}
    return POLICY.model_copy(update={"gates": POLICY.gates.model_copy(update=gates)})


def run(course: Sequence[tuple[bool, ...]], limits: GateThresholds, state: GateState | None = None) -> list[GateState]:
    """The state before the course and after each of its bars."""
    states = [state or GateState(STOP_MS)]
    for bar in course:
        newest = states[-1].last_close_ms or STOP_MS
        states.append(step(states[-1], newest + HOUR_MS, bar[:3].__getitem__, limits, any(bar[3:])))
    return states


@cache
def market(seed: int = 3, bars: int = 1_500) -> GateHistory:
    """A simulated hourly market and the rows of its later hours."""
    candles: Candles = simulate(MARKET, bars, seed, "easy").candles
    found = analyze(candles, candles.open_time_ms[-600:], POLICY, NULLS)
    return GateHistory(candles, *found)


def grid_around(history: GateHistory, at_ms: int, version: int = 1, **update: Any) -> GridConfig:
    """A grid of eight percent around the close at a moment, valid from a day before."""
    price = float(history.candles.closed_by(at_ms).prices("close")[-1])
    edges = {"lower": f"{price * 0.92:.2f}", "upper": f"{price * 1.08:.2f}", "limit_lower": None, "limit_upper": None}
    kept = {"version": version, "supersedes": version - 1 or None, "reason": "test", "who": "tests"}
    costs = {"allocation_quote": "100000", "maker_fee_bps": "2"}
    valid = {"valid_from": _iso(at_ms - 24 * HOUR_MS)}
    return GridConfig(**(FIELDS | edges | kept | costs | valid | update))


def _iso(moment_ms: int) -> str:
    from regime_pipeline.domain.market_data.window import to_iso

    return to_iso(moment_ms)


def stop_at(moment_ms: int) -> StopEvent:
    return StopEvent(MARKET.symbol, moment_ms, "MANUAL", "tests", "a test")
