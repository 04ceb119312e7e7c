"""The outlook of one market from its newest close: hold probabilities of any band, bands of any probability.

See `probability` for columns over many hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.hold.model import HoldModel, check_bounds, check_hours, check_market, check_probability
from regime_pipeline.domain.hold.probability import band_for, hold_probability
from regime_pipeline.domain.hold.volatility import FEWEST_HOURS, WINDOW_HOURS, recent_volatility, step_hours_of
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso


class Band(NamedTuple):
    """Two prices, quote currency."""

    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class HoldOutlook:
    """What can be said of the hours after a market's newest close.

    Parameters
    ----------
    close : float
        That close, quote currency.
    known_at_ms : int
        When it was known: the close time of its bar, epoch milliseconds UTC. Hours ahead count from here.
    volatilities : ndarray of float64, shape (3,)
        Mean squared log return per hour over 24, 168 and 720 hours.
    step_hours : int
        Distance of two closes that count, hours.
    model : HoldModel
        The six fitted numbers.
    """

    close: float
    known_at_ms: int
    volatilities: Float64
    step_hours: int
    model: HoldModel

    @classmethod
    def of(cls, candles: Candles, model: HoldModel) -> HoldOutlook:
        """Take the newest close on the hour, or above one hour the newest bar's.

        Raises
        ------
        UsageError
            Bars are longer than four hours.
        MissingDataError
            The last 24, 168 or 720 hours hold too few returns, or the price never moved in one of them.
        """
        market, step = candles.market, candles.market.observation_ms
        check_market(market)
        closes = candles.close_time_ms[candles.close_time_ms % step == 0]
        if not len(closes):
            raise MissingDataError(f"{market} has no candle that closes on the hour.", "Give or fetch more history.")
        known_at = int(closes[-1])
        known = recent_volatility(candles, np.array([known_at - HOUR_MS], dtype=np.int64))
        volatilities = known.volatilities[:, 0]
        for window, fewest, value in zip(WINDOW_HOURS, FEWEST_HOURS, volatilities, strict=True):
            if np.isnan(value):
                raise MissingDataError(
                    f"{market} has fewer than {fewest} hours with a return among the {window} before"
                    f" {to_iso(known_at)}, or its price did not move in them.",
                    "Give or fetch more history.",
                )
        return cls(float(known.close[0]), known_at, volatilities, step_hours_of(market), model)

    def probability(self, lower: float, upper: float, hours: int) -> float:
        """Return P(every close of the next hours stays inside), 0..1; 0 where the close is outside already.

        Raises
        ------
        UsageError
            The bounds are no band, or the hours are not 12 to 168.
        """
        check_bounds(lower, upper)
        check_hours(hours)
        found = hold_probability(self.close, lower, upper, hours, self.volatilities, self.model, self.step_hours)
        return float(found)

    def band(self, probability: float, hours: int) -> Band:
        """Return the band around the close that holds with a probability of .01 to .99.

        Raises
        ------
        UsageError
            The probability or the hours are out of bounds.
        """
        check_probability(probability)
        check_hours(hours)
        lower, upper = band_for(self.close, probability, hours, self.volatilities, self.model, self.step_hours)
        return Band(float(lower), float(upper))
