"""Thresholds of the restart gates: what must hold, for how long, before a stopped grid may start again.

See the section `features` for the windows behind the measured values, `grids` for the grid that may start.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from regime_pipeline.policy.grids import SYMBOL
from regime_pipeline.policy.section import Bars, Percent, PolicySection, Positive, Share


class GateThresholds(PolicySection):
    """What the three gates demand of one symbol (regimes.md section 8).

    Parameters
    ----------
    adx_falling_below, adx_weak_below : float
        Gate 1: ADX is below the first and lower than 6 bars ago, or below the second.
    efficiency_ratio_below : float
        Gate 1: Kaufman's ratio over 24 bars.
    bars_since_extreme_from : int
        Gate 1: bars without a new 24-bar high or low.
    mean_rev_from, median_crossings_from : float, int
        Gate 2: MeanRevScore, and crossings of the median over 48 bars.
    half_life_min_bars, half_life_max_bars : float
        Gate 2: a usable half-life lies between them.
    volatility_ratio_below : float
        Gate 3: short over long realised volatility.
    width_min_atr, width_max_atr : float
        Gate 3: width of the range discovered since the stop.
    range_since_stop_from : float
        Gate 3: probability of a range, counted from the stop, where the scores have class probabilities.
    regime_stays, bar_weight : float
        How that is counted (`domain.restart_gates.range_since_stop`): the probability that a regime outlasts a bar,
        and the exponent of a bar's probabilities.
    hold_bars, weighed_hold_bars : int
        Bars gate 3 must hold in a row: where the scores have no class probabilities, and where they have.
    fail_bars, floor_bars : int
        Bars a passed gate must fail in a row to be lost; bars since the stop.
    permit_bars : int
        Bars that a permission lasts, unless gate 1 fails or the verdict turns TREND or TRANSITION.
    """

    adx_falling_below: Percent
    adx_weak_below: Percent
    efficiency_ratio_below: Share
    bars_since_extreme_from: Annotated[int, Field(ge=1, le=24)]
    mean_rev_from: Percent
    median_crossings_from: Bars
    half_life_min_bars: Positive
    half_life_max_bars: Positive
    volatility_ratio_below: Positive
    width_min_atr: Positive
    width_max_atr: Positive
    range_since_stop_from: Share
    regime_stays: Share
    bar_weight: Share
    hold_bars: Bars
    weighed_hold_bars: Bars
    fail_bars: Bars
    floor_bars: Bars
    permit_bars: Bars

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse thresholds that contradict each other."""
        pairs = (
            ("adx_weak_below", "adx_falling_below"),
            ("half_life_min_bars", "half_life_max_bars"),
            ("width_min_atr", "width_max_atr"),
        )
        for low, high in pairs:
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} must be below {high}")
        return self


class GatesPolicy(PolicySection):
    """Thresholds of every symbol, and of those that need their own."""

    default: GateThresholds
    symbols: dict[Annotated[str, Field(pattern=SYMBOL)], GateThresholds]

    def of(self, symbol: str) -> GateThresholds:
        """Return a symbol's thresholds."""
        return self.symbols.get(symbol, self.default)
