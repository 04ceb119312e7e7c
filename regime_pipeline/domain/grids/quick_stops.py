"""What stops a probationary grid at once, each trigger by name with its value and threshold.

A stop means no new orders; what was bought is decided apart. When a grid may start again is the gates' business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import ge, gt, le, lt
from typing import Final

from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.policy import Policy

Comparison = Callable[[float, float], bool]
_WORDS: Final[dict[Comparison, str]] = {ge: "at least", gt: "above", le: "at most", lt: "below"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and whether it holds.

    Parameters
    ----------
    name : str
        Upper case, fixed.
    value, threshold : float
        What was compared, in the unit the sentence names; a NaN value holds nowhere.
    is_met : bool
        The condition holds.
    sentence : str
        The comparison in words with both numbers.
    """

    name: str
    value: float
    threshold: float
    is_met: bool
    sentence: str


def check(name: str, what: str, value: float, holds: Comparison, threshold: float) -> Condition:
    """Compare, and put it into words: `what` names the value and its unit."""
    known = "unknown" if value != value else f"{value:.6g}"
    sentence = f"{what}: {known} ({_WORDS[holds]} {threshold:.6g})."
    return Condition(name, float(value), float(threshold), holds(value, threshold), sentence)


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
        check("BEYOND_EDGE", "close beyond an edge in ATR", beyond_atr, ge, bounds.edge_atr),
        check("CLOSES_OUTSIDE", "closes in a row outside", outside, ge, bounds.outside_closes),
        check("VOL_CHANGE", "VolChangeScore", health.vol_change_score, gt, vol_change),
        check("TREND", "TrendScore", health.trend_score, ge, trend),
        check("ONE_SIDED", "bars in a row with one-sided inventory", one_sided, ge, bounds.inventory_bars),
        check("DRAWDOWN", "drawdown in quote currency", health.drawdown_quote, gt, most_lost),
        check("STALE_DATA", "age of the data in bars", health.data_age_bars, gt, bounds.data_age_bars_above),
    )


def _one_sided_bars(base_shares: Sequence[float], above: float) -> int:
    """Newest bars in a row whose inventory is one-sided on the same side."""
    newest_first = list(reversed(base_shares))
    base = sum(1 for _ in takewhile(lambda share: share > above, newest_first))
    quote = sum(1 for _ in takewhile(lambda share: 1.0 - share > above, newest_first))
    return max(base, quote)
