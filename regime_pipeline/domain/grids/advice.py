"""What to do with a configured grid: the rules of regimes.md section 7 over many hours or one.

The verdict may stop new orders; it never closes what was bought: pausing by force-closing at market is what lost money
in every published comparison (see docs/grids.md). See `advice_explanation` for the rules in words, `advice_hourly` for
rows of hours.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import ceil, floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.grids.advice_state import Decisions, Situation
from regime_pipeline.domain.grids.config_rules import from_ticks, whole_ticks
from regime_pipeline.domain.grids.schema import ACTIONS, ADVICE_STATUSES, INVENTORY
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.verdicts.rules import INSUFFICIENT_DATA, RANGE_OK, TRANSITION, TREND
from regime_pipeline.policy.grids import GridsPolicy

OK, NO_GRID, NO_VERDICT, OUTSIDE = range(len(ADVICE_STATUSES))
NONE, KEEP, ENABLE, STOP_PLACING, REPOSITION = range(len(ACTIONS))
NO_INVENTORY, KEEP_INVENTORY, CLOSE_AT_LIMIT = range(len(INVENTORY))
_ACTIONABLE: Final = (ENABLE, STOP_PLACING, REPOSITION)


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
