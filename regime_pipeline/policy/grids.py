"""Thresholds of grids: advice, defaults, the probationary grid after a restart, its graduation and its quick stops.

See the section `grid_capacity` for the costs of a grid, `verdict` for the bounds of a verdict.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from regime_pipeline.policy.section import Bars, PolicySection, Positive, Share

SYMBOL = r"^[^\W_]{1,20}-[A-Z0-9]{2,10}(-PERP)?$"
Levels = Annotated[int, Field(ge=4, le=6)]
SpacingAtr = Annotated[float, Field(ge=0.45, le=0.55)]
Width = Annotated[float, Field(gt=0, lt=100)]


class GridDefaults(PolicySection):
    """What a new grid of a symbol starts from.

    Parameters
    ----------
    half_width_pct : float
        Distance of each edge from the price, percent of the price.
    limit_distance_pct : float
        Distance of each stop limit beyond its edge, percent of the price.
    levels : int
        Most levels; fewer where the range or the capital carries fewer.
    spacing : str
        `arithmetic` or `geometric`.
    """

    half_width_pct: Width
    limit_distance_pct: Width
    levels: Annotated[int, Field(ge=2)]
    spacing: Literal["arithmetic", "geometric"]

    @model_validator(mode="after")
    def _stays_positive(self) -> Self:
        """Refuse a lower limit at or below zero."""
        total = self.half_width_pct + self.limit_distance_pct
        if total >= 100:
            raise ValueError(f"half_width_pct + limit_distance_pct = {total:g} must stay below 100")
        return self


class ProbationPolicy(PolicySection):
    """Parameters of the first grid after a restart; the ranges 50-60 %, 4-6 levels, 0.45-0.55 ATR are the seed's."""

    allocation_share: Annotated[float, Field(ge=0.5, le=0.6)]
    levels: Levels
    min_levels: Levels
    min_spacing_atr: SpacingAtr
    spacing_atr: SpacingAtr
    max_spacing_atr: SpacingAtr
    min_post_stop_bars: Annotated[int, Field(ge=16, le=1024)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse thresholds that contradict each other."""
        if self.min_levels > self.levels:
            raise ValueError(f"min_levels = {self.min_levels} must not exceed levels = {self.levels}")
        if not self.min_spacing_atr <= self.spacing_atr <= self.max_spacing_atr:
            raise ValueError(
                f"spacing_atr = {self.spacing_atr:g} must lie between min_spacing_atr = {self.min_spacing_atr:g} "
                f"and max_spacing_atr = {self.max_spacing_atr:g}"
            )
        return self


class GraduationPolicy(PolicySection):
    """When a probationary grid may become a normal one.

    Parameters
    ----------
    min_bars : int
        Bars since its start.
    recent_bars : int
        Newest bars by which the market is judged: share of RANGE_OK, excursion.
    range_ok_share_from : float
        Share of the recent bars with RANGE_OK.
    min_round_trips, net_quote_from : int, float
        Since its start.
    excursion_spacings_below : float
        Farthest recent close beyond an edge, in spacings.
    """

    min_bars: Bars
    recent_bars: Bars
    range_ok_share_from: Share
    min_round_trips: Bars
    excursion_spacings_below: Positive
    net_quote_from: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse to judge by bars from before the start."""
        if self.recent_bars > self.min_bars:
            raise ValueError(f"recent_bars = {self.recent_bars} must not exceed min_bars = {self.min_bars}")
        return self


class QuickStopsPolicy(PolicySection):
    """What stops a probationary grid at once; the bounds on VolChange and Trend are those of the verdict."""

    edge_atr: Positive
    outside_closes: Bars
    inventory_share_above: Annotated[float, Field(ge=0.5, lt=1)]
    inventory_bars: Bars
    drawdown_spacings_above: Positive
    data_age_bars_above: Bars


class GridsPolicy(PolicySection):
    """Advice on a configured grid, and the grid after a restart (regimes.md section 7).

    Parameters
    ----------
    outside_closes : int
        Closes in a row beyond the bounds before the price counts as outside.
    reposition_iou_below : float
        A discovered range overlaps the configured one less than this before the grid is moved.
    reposition_gap_bars : int
        Bars between two repositions, at least.
    defaults, symbol_defaults : GridDefaults, dict of str to GridDefaults
        Defaults of every symbol, and of those that need their own.
    probation, graduation, quick_stops : PolicySection
        The grid after a restart.
    """

    outside_closes: Bars
    reposition_iou_below: Share
    reposition_gap_bars: Bars
    defaults: GridDefaults
    symbol_defaults: dict[Annotated[str, Field(pattern=SYMBOL)], GridDefaults]
    probation: ProbationPolicy
    graduation: GraduationPolicy
    quick_stops: QuickStopsPolicy
