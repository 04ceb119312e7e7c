"""Quick stops: what stops a grid at once, each trigger by name with its value and threshold.

A stop means no new orders; closing what was bought is a separate decision. See `restart_gates` for when a grid may
start again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.named_conditions import Condition, check
from regime_pipeline.policy import Policy


@dataclass(frozen=True, slots=True)
class GridHealth:
    """A running grid at the close of a bar.

    Parameters
    ----------
    closes : sequence of float
        Closes of successive bars, oldest first, quote currency; at least one.
    atr : float
        Quote currency.
    vol_change_score, trend_score : float
        Newest scores, 0..100; NaN where there are none.
    base_shares : sequence of float
        Value of the base held over the value of everything, per bar, oldest first, 0..1.
    drawdown_quote : float
        Highest equity so far less equity now, quote currency.
    data_age_bars : float
        Bars that should have closed since the newest one known.
    """

    closes: Sequence[float]
    atr: float
    vol_change_score: float
    trend_score: float
    base_shares: Sequence[float]
    drawdown_quote: float
    data_age_bars: float


def quick_stops(config: GridConfig, health: GridHealth, policy: Policy) -> tuple[Condition, ...]:
    """Return every trigger; the grid stops when any is met.

    Parameters
    ----------
    config : GridConfig
        The running grid.
    health : GridHealth
        What to judge it by.
    policy : Policy
        Section `grids.quick_stops`; VolChange and Trend have the verdict's bounds.

    Notes
    -----
    One-sided means that either the base or the quote held is more than `inventory_share_above` of everything, on the
    same side. The drawdown's threshold is `drawdown_spacings_above` spacings over the middle price, of the allocation.
    """
    bounds, lower, upper = policy.grids.quick_stops, float(config.lower), float(config.upper)
    close = health.closes[-1]
    beyond_atr = max(lower - close, close - upper) / max(health.atr, float(config.tick))
    outside = sum(1 for _ in takewhile(lambda price: not lower <= price <= upper, reversed(health.closes)))
    spacing_share = (upper - lower) / config.levels / ((lower + upper) / 2)
    most_lost = bounds.drawdown_spacings_above * spacing_share * float(config.allocation_quote)
    one_sided = _one_sided_bars(health.base_shares, bounds.inventory_share_above)
    vol_change, trend = policy.verdict.transition_above, policy.verdict.trend_from
    return (
        check("BEYOND_EDGE", beyond_atr, bounds.edge_atr),
        check("CLOSES_OUTSIDE", outside, bounds.outside_closes),
        check("VOL_CHANGE", health.vol_change_score, vol_change),
        check("TREND", health.trend_score, trend),
        check("ONE_SIDED", one_sided, bounds.inventory_bars),
        check("DRAWDOWN", health.drawdown_quote, most_lost),
        check("STALE_DATA", health.data_age_bars, bounds.data_age_bars_above),
    )


def _one_sided_bars(base_shares: Sequence[float], above: float) -> int:
    """Newest bars in a row whose inventory is one-sided on the same side."""
    newest_first = list(reversed(base_shares))
    base = sum(1 for _ in takewhile(lambda share: share > above, newest_first))
    quote = sum(1 for _ in takewhile(lambda share: 1.0 - share > above, newest_first))
    return max(base, quote)
