"""The rows that the dashboard shows of one market: hours, bars, grids and stops, on an unbroken calendar.

See `build` for reading them, the modules beside this one for what is made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.restart_gates.machine import StopEvent


@dataclass(frozen=True, eq=False)
class MarketRows:
    """One market over a period.

    Parameters
    ----------
    hours : Rows
        Columns of `schema.DASHBOARD_HOURS`, ascending by `hour_start`, at least one row; hours may be missing.
    verdicts : Rows
        `hour_start`, `weights` (lists of dicts) and `factors` (lists of `Factor`); hours may be missing.
    bars : Candles
        Bars of the market that closed in the period.
    advice : Rows or None
        Columns of `grids.schema.GRID_ADVICE` and `reasons` (lists of `Factor`), the gates in sentences; None where the
        site shows no advice and no gates.
    grids, stops : sequence
        Versions and stops of the symbol's grid, oldest first.
    end_note : str
        Why no newer hours are expected, as `the end of the project`; empty where they are.

    Raises
    ------
    MissingDataError
        There is no hour.
    """

    hours: Rows
    verdicts: Rows
    bars: Candles
    advice: Rows | None = None
    grids: Sequence[GridConfig] = field(default_factory=tuple)
    stops: Sequence[StopEvent] = field(default_factory=tuple)
    end_note: str = ""

    def __post_init__(self) -> None:
        """Refuse a market without hours."""
        if not len(self.hours["hour_start"]):
            raise MissingDataError(f"{self.market} has no dashboard hours.", "Materialize dashboard_hours first.")

    @property
    def market(self) -> Market:
        """Symbol and timeframe."""
        return self.bars.market

    @property
    def start_ms(self) -> int:
        """Start of the first hour, epoch milliseconds UTC."""
        return int(self.hours["hour_start"][0])

    @property
    def through_ms(self) -> int:
        """Close of the newest hour, epoch milliseconds UTC: what the data goes through."""
        return int(self.hours["hour_start"][-1]) + HOUR_MS

    def __len__(self) -> int:
        """Hours of the calendar, missing ones included."""
        return (self.through_ms - self.start_ms) // HOUR_MS

    def on_calendar(self, name: str) -> Float64:
        """Return a numeric column of the dashboard hours on the calendar, shape (n,); NaN where an hour is missing."""
        return self._spread(self.hours["hour_start"], self.hours[name])

    @property
    def first_bar_ms(self) -> int:
        """Open of the bar that the first hour is in, epoch milliseconds UTC."""
        return self.start_ms // self.market.step_ms * self.market.step_ms

    def bars_on_calendar(self, name: str) -> Float64:
        """Return a column of the bars from `first_bar_ms` to the newest close, shape (n,); NaN where one is missing."""
        step_ms, first = self.market.step_ms, self.first_bar_ms
        column = np.full(max((self.through_ms - first) // step_ms, 0), np.nan)
        inside = self.bars.open_time_ms >= first
        column[(self.bars.open_time_ms[inside] - first) // step_ms] = getattr(self.bars, name)[inside]
        return column

    def advice_on_calendar(self, name: str) -> Float64:
        """Return a numeric column of the advice on the calendar, shape (n,); NaN where there is none."""
        if self.advice is None:
            return np.full(len(self), np.nan)
        return self._spread(self.advice["hour_start"], self.advice[name])

    def documents(self, name: str) -> list[list[Any]]:
        """Return each hour's `weights` or `factors`, empty where an hour has none; n lists."""
        found: list[list[Any]] = [[] for _ in range(len(self))]
        at, inside = self._places(self.verdicts["hour_start"])
        for place, document in zip(at.tolist(), self.verdicts[name][inside], strict=True):
            found[place] = document
        return found

    def _spread(self, hour_start: Int64, values: NDArray[Any]) -> Float64:
        column = np.full(len(self), np.nan)
        at, inside = self._places(hour_start)
        column[at] = values[inside]
        return column

    def _places(self, hour_start: Int64) -> tuple[Int64, NDArray[np.bool_]]:
        """Places of rows in the calendar, and which rows are in it."""
        at = (hour_start - self.start_ms) // HOUR_MS
        inside = (at >= 0) & (at < len(self))
        return at[inside], inside
