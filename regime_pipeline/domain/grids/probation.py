"""The probationary grid after a restart: small, few levels, wide spacing, post-stop prices only.

See `restart_gates` for when it may start, `quick_stops` for what stops it at once, `graduation` for what it must show.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from math import ceil, floor
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.candle_regimes.indicators import compute_indicators
from regime_pipeline.domain.features.ranges.consensus import discover_ranges
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.grids.config import GridConfig, canonical
from regime_pipeline.domain.grids.config_rules import from_ticks, whole_ticks
from regime_pipeline.domain.grids.named_conditions import Condition, check
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.holes import has_history
from regime_pipeline.policy import Policy

_WINDOWS: Final = ("quantile_bars", "donchian_bars", "pivot_bars", "profile_bars", "channel_bars", "quality_bars")


@dataclass(frozen=True, slots=True)
class FreshRange:
    """What the bars since a stop say; prices in quote currency.

    Parameters
    ----------
    bars : int
        Bars up to the newest, all opened at or after the stop, without a hole that restarts windows.
    low, high : float
        Consensus edges; NaN without consensus, with too few bars, or with more holes than a window may have.
    atr, close : float
        Wilder ATR begun cold at the first of these bars, and the newest close; NaN with too few or too many holes.
    """

    bars: int
    low: float
    high: float
    atr: float
    close: float


def fresh_range(candles: Candles, stopped_at_ms: int, policy: Policy) -> FreshRange:
    """Return range, ATR and price from post-stop bars alone.

    Parameters
    ----------
    candles : Candles
        Bars closed by the moment of the decision; those opened before the stop, or before a hole that restarts windows,
        change nothing.
    stopped_at_ms : int
        When the grid was stopped, epoch milliseconds UTC.
    policy : Policy
        Range methods and their windows, each cut to the bars there are; `grids.probation.min_post_stop_bars`.
    """
    from regime_pipeline.domain.features.kernels import slope_t

    since = candles.between(stopped_at_ms, 2**62)
    bars = int(compute_indicators(since, policy.candle_regime).age[-1]) + 1 if len(since) else 0
    unbroken = since[len(since) - bars :]
    if bars < policy.grids.probation.min_post_stop_bars or not _is_whole_enough(unbroken, policy):
        return FreshRange(bars, np.nan, np.nan, np.nan, np.nan)
    atr = compute_indicators(unbroken, policy.candle_regime).atr[-1:]
    windows = Windows.of(unbroken, np.array([bars - 1]), policy.features)
    slope = slope_t(windows.log_close, windows.ends, min(policy.features.slope_bars, bars), policy.features.slope_lags)
    cut = {name: min(getattr(policy.ranges, name), bars - 1) for name in _WINDOWS}
    found = discover_ranges(windows, atr, slope, policy.ranges.model_copy(update=cut))
    low, high, width, close = (
        float(value[0]) / candles.price_scale
        for value in (found["range_low"], found["range_high"], atr, unbroken.close[-1:])
    )
    return FreshRange(bars, low, high, width, close)


def _is_whole_enough(candles: Candles, policy: Policy) -> bool:
    """Whether these bars are a window with no more holes than any other window may have."""
    bar, bars = candles.open_time_ms // candles.market.step_ms, len(candles)
    return bool(has_history(bar, np.zeros(bars, dtype=np.int64), bars, policy.candle_regime.holes)[-1])


_EXACT: Final = Context(prec=60)
_SMALLEST: Final = Decimal("1e-18")


@dataclass(frozen=True, slots=True)
class ProbationaryGrid:
    """Parameters of a fresh grid.

    Parameters
    ----------
    lower, upper : Decimal
        Edges on whole ticks inside the range discovered since the stop, quote currency.
    levels : int
        Intervals of equal width.
    allocation_quote : Decimal
        Capital, quote currency.
    spacing_quote, atr_quote : float
        Width of an interval and the ATR since the stop, quote currency.
    """

    lower: Decimal
    upper: Decimal
    levels: int
    allocation_quote: Decimal
    spacing_quote: float
    atr_quote: float

    def update(self) -> dict[str, Any]:
        """Return the fields for `versions.new_version`; limits from before the stop are dropped."""
        return {
            "enabled": True,
            "lower": self.lower,
            "upper": self.upper,
            "levels": self.levels,
            "spacing": "arithmetic",
            "allocation_quote": self.allocation_quote,
            "limit_lower": None,
            "limit_upper": None,
        }


@dataclass(frozen=True, slots=True)
class Probation:
    """A probationary grid, or none, and why.

    Parameters
    ----------
    grid : ProbationaryGrid or None
        None where a check fails.
    range : FreshRange
        What the bars since the stop say.
    checks : tuple of Condition
        Conditions in order; the first that fails is the last.
    """

    grid: ProbationaryGrid | None
    range: FreshRange
    checks: tuple[Condition, ...]


def probationary_grid(candles: Candles, stopped_at_ms: int, config: GridConfig, policy: Policy) -> Probation:
    """Return the grid to start after a stop.

    Parameters
    ----------
    candles : Candles
        Bars closed by the moment of the decision; only those opened at or after the stop are used.
    stopped_at_ms : int
        When the grid was stopped, epoch milliseconds UTC.
    config : GridConfig
        The stopped grid: its tick, fee, smallest order and capital are used, its prices and levels are not.
    policy : Policy
        Section `grids.probation`, costs of `grid_capacity`.

    Notes
    -----
    The spacing is `spacing_atr` ATR rounded to a tick, raised to what two maker fees, slippage and the least gain
    demand at the top of the range; beyond `max_spacing_atr` (or, where the tick is too coarse, below
    `min_spacing_atr`) there is no grid. Levels shrink to what the range holds and the capital funds, down to
    `min_levels`. The grid lies around the newest close, pushed inside the range.
    """
    found, bounds = fresh_range(candles, stopped_at_ms, policy), policy.grids.probation
    has_range = found.low == found.low
    checks = [
        check("POST_STOP_BARS", found.bars, bounds.min_post_stop_bars),
        check("CONSENSUS", float(has_range), 1),
    ]
    if not has_range:
        return Probation(None, found, _until_failure(checks))
    spacing, atr = _spacing_ticks(found, config, policy), found.atr / float(config.tick)
    low, high = whole_ticks(found.low, config.tick, ceil), whole_ticks(found.high, config.tick, floor)
    allocation = _allocation(config, bounds.allocation_share)
    funded = float(allocation) // (policy.grid_capacity.notional_margin * float(config.min_notional))
    held = (high - low) // spacing
    checks += [
        check("SPACING_MAX", spacing, bounds.max_spacing_atr * atr),
        check("SPACING_MIN", spacing, bounds.min_spacing_atr * atr),
        check("WIDTH", held, bounds.min_levels),
        check("CAPITAL", funded, bounds.min_levels),
    ]
    if not all(made.is_met for made in checks):
        return Probation(None, found, _until_failure(checks))
    levels = min(bounds.levels, held, int(funded))
    lower, upper = _around(found.close, low, high, levels * spacing, config.tick)
    grid = ProbationaryGrid(lower, upper, levels, allocation, float(from_ticks(spacing, config.tick)), found.atr)
    return Probation(grid, found, tuple(checks))


def _allocation(config: GridConfig, share: float) -> Decimal:
    """A share of the stopped grid's capital."""
    part = _EXACT.multiply(config.allocation_quote, Decimal(str(share)))
    return canonical(_EXACT.quantize(part, _SMALLEST))


def _around(price: float, low: int, high: int, width: int, tick: Decimal) -> tuple[Decimal, Decimal]:
    """Edges `width` ticks apart, as central around the price as [low, high] ticks allow."""
    central = whole_ticks(price - width * float(tick) / 2, tick, round)
    lower = min(max(central, low), high - width)
    return from_ticks(lower, tick), from_ticks(lower + width, tick)


def _spacing_ticks(found: FreshRange, config: GridConfig, policy: Policy) -> int:
    """Spacing in whole ticks: the share of the ATR, raised to the fee minimum at the top of the range."""
    costs, tick = policy.grid_capacity, config.tick
    wanted = whole_ticks(found.atr * policy.grids.probation.spacing_atr, tick, round)
    keep = (1.0 - float(config.maker_fee_bps) / 1e4) ** 2
    least_ratio = (1.0 + (costs.min_gain_bps + costs.slippage_bps) / 1e4) / keep
    return max(wanted, whole_ticks(found.high * (1.0 - 1.0 / least_ratio), tick, ceil), 1)


def _until_failure(checks: list[Condition]) -> tuple[Condition, ...]:
    """The checks up to and including the first that fails."""
    failed = next(place for place, made in enumerate(checks) if not made.is_met)
    return tuple(checks[: failed + 1])
