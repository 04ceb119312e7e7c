"""Hourly rows as observations: one per hour, or one per bar above one hour, on an unbroken calendar.

Trailing windows of ranks and hysteresis are counted here. See `scoring.ranks` and `verdicts` for their use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.windows import newest_bars
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64


def lookback_hours(market: Market, observations: int) -> int:
    """Return how many hours before an hour hold the rows of its observation and of so many before it."""
    hours = market.observation_ms // HOUR_MS
    return observations * hours + hours - 1


@dataclass(frozen=True, eq=False)
class Observations:
    """Rows laid out on the calendar of observations.

    Parameters
    ----------
    market : Market
        Gives the distance of two observations.
    source : Rows
        Hourly rows with `as_of_bar`.
    first : int
        Calendar number of the first observation.
    row : ndarray of int64, shape (d,)
        A row of `source` for each observation, -1 where there is none. Hours between two bars repeat one
        observation; any of them serves.
    """

    market: Market
    source: Rows
    first: int
    row: Int64

    @classmethod
    def of(cls, rows: Rows, market: Market) -> Observations:
        """Lay rows out on the calendar."""
        number = rows["as_of_bar"] // market.observation_ms
        if not len(number):
            return cls(market, rows, 0, np.empty(0, dtype=np.int64))
        first = int(number.min())
        row = np.full(int(number.max()) - first + 1, -1, dtype=np.int64)
        row[number - first] = np.arange(len(number))
        return cls(market, rows, first, row)

    def at(self, hours: Int64) -> Int64:
        """Return the place of each hour's observation in the layout, int64, same shape."""
        return newest_bars(self.market, hours) // self.market.observation_ms - self.first

    def column(self, name: str) -> Float64:
        """Return a column over the calendar, NaN where there is no row; float64, shape (d,)."""
        values = np.full(len(self.row), np.nan)
        values[self.row >= 0] = self.source[name][self.row[self.row >= 0]]
        return values
