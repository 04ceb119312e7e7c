"""What to do with a configured grid: the rules of regimes.md section 7 over many hours or one.

The verdict may stop new orders; it never closes what was bought: pausing by force-closing at market is what lost money
in every published comparison (see docs/grids.md). See `advice_explanation` for the rules in words, `advice_hourly` for
rows of hours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.factors import Factor
from regime_pipeline.domain.grids.advice_explanation import explain_advice
from regime_pipeline.domain.grids.advice_state import Decisions, Situation
from regime_pipeline.domain.grids.comparison import Comparison
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.config_rules import from_ticks, whole_ticks
from regime_pipeline.domain.grids.schema import ACTIONS, ADVICE_STATUSES, GATE_STATES, INVENTORY
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.verdicts.rules import INSUFFICIENT_DATA, RANGE_OK, TRANSITION, TREND
from regime_pipeline.policy import Policy
from regime_pipeline.policy.grids import GridsPolicy

OK, NO_GRID, NO_VERDICT, OUTSIDE = range(len(ADVICE_STATUSES))
NONE, KEEP, ENABLE, STOP_PLACING, REPOSITION = range(len(ACTIONS))
NO_INVENTORY, KEEP_INVENTORY, CLOSE_AT_LIMIT = range(len(INVENTORY))
_ACTIONABLE: Final = (ENABLE, STOP_PLACING, REPOSITION)


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice on one grid at one hour.

    Parameters
    ----------
    status : str
        One of `schema.ADVICE_STATUSES`.
    action : str
        One of `schema.ACTIONS`.
    enabled : bool
        Whether the configured grid places orders.
    is_actionable : bool
        The action asks somebody to act; else it is for information. It says nothing of the inventory.
    inventory : str
        One of `schema.INVENTORY`; a function of the price and the owner's own limits, never of the verdict.
    proposed_lower, proposed_upper : float or None
        Edges to use, quote currency, where the action needs new ones.
    reasons : tuple of Factor
        Each rule with inputs, threshold and outcome; the first one decided.
    """

    status: str
    action: str
    enabled: bool
    is_actionable: bool
    inventory: str
    proposed_lower: float | None
    proposed_upper: float | None
    reasons: tuple[Factor, ...]


def advise(
    config: GridConfig,
    verdict: Mapping[str, Any],
    comparison: Comparison,
    recent_closes: Sequence[float],
    repositions_bars_ago: Sequence[int],
    policy: Policy,
    gate_state: str = "NONE",
) -> Advice:
    """Return the advice on one grid at one hour.

    Parameters
    ----------
    config : GridConfig
        The version valid then.
    verdict : mapping of str to Any
        `verdict` (a code of `schema.VERDICTS`), `range_low` and `range_high` of the hour.
    comparison : Comparison
        Of the grid with that range, n = 1.
    recent_closes : sequence of float
        Closes of successive bars, oldest first, quote currency; those before the last `outside_closes` change nothing.
    repositions_bars_ago : sequence of int
        How many bars ago the grid's edges were moved, each time they were.
    policy : Policy
        Section `grids`.
    gate_state : str
        One of `restart_gates.machine.GATE_STATES`.
    """
    closes = np.asarray(recent_closes, dtype=np.float64)[::-1][: policy.grids.outside_closes]
    beyond = (closes < float(config.lower)) | (closes > float(config.upper))
    situation = Situation.of(
        config,
        verdict=np.array([verdict["verdict"]], dtype=np.int8),
        range_low=np.array([verdict["range_low"]], dtype=np.float64),
        range_high=np.array([verdict["range_high"]], dtype=np.float64),
        iou=comparison.iou,
        close=closes[:1] if len(closes) else np.array([np.nan]),
        closes_outside=np.array([np.logical_and.accumulate(beyond).sum()], dtype=np.int32),
        bars_since_reposition=np.array([min(repositions_bars_ago, default=np.nan)], dtype=np.float64),
        gate_state=np.array([GATE_STATES.index(gate_state)], dtype=np.int8),
    )
    decided = decide(situation, policy.grids)
    return Advice(
        status=ADVICE_STATUSES[decided.status[0]],
        action=ACTIONS[decided.action[0]],
        enabled=config.enabled,
        is_actionable=bool(decided.is_actionable[0]),
        inventory=INVENTORY[decided.inventory[0]],
        proposed_lower=_or_none(decided.proposed_lower[0]),
        proposed_upper=_or_none(decided.proposed_upper[0]),
        reasons=tuple(explain_advice(situation, decided, policy.grids)[0]),
    )


def _or_none(value: float) -> float | None:
    """A number, None for NaN."""
    return None if np.isnan(value) else float(value)


def decide(situation: Situation, policy: GridsPolicy) -> Decisions:
    """Apply the rules to n hours of one configured grid.

    Notes
    -----
    Enabled and TREND or TRANSITION: STOP_PLACING. Disabled and RANGE_OK: ENABLE, unless a stop is in force whose gates
    do not permit a restart. Enabled, RANGE_OK, price beyond the bounds for `outside_closes` closes, a discovered range
    that overlaps the configured one by less than `reposition_iou_below`, and no edge moved for `reposition_gap_bars`
    bars: REPOSITION. Otherwise, where enabled: STOP_PLACING once the price is beyond the bounds for the closes that a
    quick stop takes, whatever the verdict, else KEEP; where disabled NONE. Without a verdict, inside the bounds: NONE.
    Enabled with the newest close beyond the bounds, the status is OUTSIDE and the row is actionable in any case.
    """
    s = situation
    is_known = s.verdict != INSUFFICIENT_DATA
    is_danger = (s.verdict == TREND) | (s.verdict == TRANSITION)
    is_range = s.verdict == RANGE_OK
    is_moved = s.iou < policy.reposition_iou_below
    is_due = ~(s.bars_since_reposition < policy.reposition_gap_bars)
    is_outside = s.closes_outside >= policy.outside_closes
    is_beyond = s.closes_outside > 0 if s.enabled else np.zeros(len(s.verdict), dtype=np.bool_)
    is_left = is_beyond & (s.closes_outside >= min(policy.outside_closes, policy.quick_stops.outside_closes))
    enable = is_range & (not s.enabled) & ~s.is_blocked
    reposition = is_range & s.enabled & is_outside & is_moved & is_due
    action = np.select(
        [enable, is_danger & s.enabled, reposition, is_left, ~is_known & ~is_beyond],
        [ENABLE, STOP_PLACING, REPOSITION, STOP_PLACING, NONE],
        KEEP if s.enabled else NONE,
    )
    has_edges = reposition | (enable & is_moved)
    return Decisions(
        status=np.select([is_beyond, is_known], [OUTSIDE, OK], NO_VERDICT).astype(np.int8),
        action=action.astype(np.int8),
        is_actionable=np.isin(action, _ACTIONABLE) | is_beyond,
        inventory=_inventory(s),
        proposed_lower=_in_ticks(s.range_low, has_edges, s.tick, ceil),
        proposed_upper=_in_ticks(s.range_high, has_edges, s.tick, floor),
    )


def _inventory(s: Situation) -> NDArray[np.int8]:
    """Close where the newest close is beyond a limit the owner set, else keep; nothing without a close."""
    is_beyond = (s.close < s.limit_lower) | (s.close > s.limit_upper)
    codes = np.select([is_beyond, ~np.isnan(s.close)], [CLOSE_AT_LIMIT, KEEP_INVENTORY], NO_INVENTORY)
    return codes.astype(np.int8)


def _in_ticks(price: Float64, is_wanted: NDArray[np.bool_], tick: Decimal, rounded: Callable[[float], int]) -> Float64:
    """Prices on whole ticks, towards the middle of the range; NaN where none is wanted."""
    edges = np.full(len(price), np.nan)
    for row in np.flatnonzero(is_wanted).tolist():
        edges[row] = float(from_ticks(whole_ticks(float(price[row]), tick, rounded), tick))
    return edges
