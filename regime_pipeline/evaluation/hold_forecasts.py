"""Forecasts that can be judged: bands at many hours, what was known then, and whether every later close stayed inside.

See `hold_markets` for the candles, `hold_scores` for how forecasts are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from regime_pipeline.domain.features.hourly import compute_features
from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.hold.probability import hold_probability
from regime_pipeline.domain.hold.volatility import recent_volatility, step_hours_of
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.policy import Policy

HORIZONS: Final = (6, 12, 24, 72, 168)
JUDGED_HORIZONS: Final = (12, 24, 72, 168)
SIDES: Final = (0.4, 5.0)
"""Distances of drawn edges in standard deviations of the week's volatility over the horizon, log-uniform."""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """n bands and what became of them.

    Parameters
    ----------
    hour : ndarray of int64, shape (n,)
        Start of the hour at whose close the band was set, epoch milliseconds UTC.
    close, lower, upper : ndarray of float64, shape (n,)
        Quote currency; the close is inside.
    ahead : ndarray of int64, shape (n,)
        Hours that the band had to hold.
    volatility : ndarray of float64, shape (n, 3)
        As `recent_volatility` gives them, one row per band.
    held : ndarray of bool, shape (n,)
        Every close of those hours was there and strictly inside.
    step_hours : ndarray of int64, shape (n,)
        Distance of two closes that count.
    """

    hour: Int64
    close: Float64
    lower: Float64
    upper: Float64
    ahead: Int64
    volatility: Float64
    held: NDArray[np.bool_]
    step_hours: Int64

    def __len__(self) -> int:
        return len(self.hour)

    def __getitem__(self, rows: NDArray[np.bool_] | Int64) -> Forecasts:
        """Return the chosen rows."""
        return Forecasts(*(getattr(self, field.name)[rows] for field in fields(self)))

    def probability(self, model: HoldModel) -> Float64:
        """Return what a model says of each band; one step length in all of them."""
        step = int(self.step_hours[0]) if len(self) else 1
        return hold_probability(self.close, self.lower, self.upper, self.ahead, self.volatility.T, model, step)


def joined(parts: Sequence[Forecasts]) -> Forecasts:
    """Put forecasts one behind the other."""
    columns = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Forecasts))
    return Forecasts(*columns)


def drawn_bands(
    candles: Candles, rng: np.random.Generator, every_hours: int, horizons: Sequence[int] = HORIZONS
) -> Forecasts:
    """Draw one band per horizon at every so many hours, each side on its own.

    Parameters
    ----------
    candles : Candles
        Of one market.
    rng : numpy.random.Generator
        Draws the sides.
    every_hours : int
        Distance of two hours with bands; a multiple of the bar above one hour.
    horizons : sequence of int
        Hours ahead.
    """
    hours = _hours(candles, every_hours)
    known = recent_volatility(candles, hours)
    parts = []
    for ahead in horizons:
        scale = np.sqrt(known.volatilities[1] * ahead)
        below, above = np.exp(rng.uniform(np.log(SIDES[0]), np.log(SIDES[1]), (2, len(hours))))
        lower, upper = known.close * np.exp(-below * scale), known.close * np.exp(above * scale)
        parts.append(_judged(candles, hours, (known.close, lower, upper, known.volatilities), ahead))
    return joined(parts)


def discovered_ranges(candles: Candles, policy: Policy, horizons: Sequence[int]) -> Forecasts:
    """Take the range that was discovered at each hour, where the close is inside it."""
    hours = _hours(candles, 1)
    known, found = recent_volatility(candles, hours), compute_features(candles, hours, policy)
    band = (known.close, found["range_low"], found["range_high"], known.volatilities)
    return joined([_judged(candles, hours, band, ahead) for ahead in horizons])


def _hours(candles: Candles, every_hours: int) -> Int64:
    """Every so many hours of the span, at whose end a bar closes."""
    first, last = int(candles.close_time_ms[0]), int(candles.close_time_ms[-1])
    step = every_hours * HOUR_MS
    return np.arange(-(-first // step) * step, last + 1, step, dtype=np.int64) - HOUR_MS


def _judged(candles: Candles, hours: Int64, band: tuple[Float64, Float64, Float64, Float64], ahead: int) -> Forecasts:
    """Bands with their outcome, where both the band and every later close are known."""
    close, lower, upper, volatilities = band
    lowest, highest = _extremes_ahead(candles, hours, ahead)
    is_known = ~np.isnan(lowest + lower + upper + volatilities.sum(axis=0)) & (lower < close) & (close < upper)
    count = len(hours)
    made = Forecasts(
        hours,
        close,
        lower,
        upper,
        np.full(count, ahead),
        volatilities.T,
        (lowest > lower) & (highest < upper),
        np.full(count, step_hours_of(candles.market)),
    )
    return made[is_known]


def _extremes_ahead(candles: Candles, hours: Int64, ahead: int) -> tuple[Float64, Float64]:
    """Lowest and highest of the closes in the hours after each hour, NaN where one of them is absent."""
    step = candles.market.observation_ms
    is_counted = candles.close_time_ms % step == 0
    number = candles.close_time_ms[is_counted] // step
    length = ahead * HOUR_MS // step
    first = int(number[0])
    calendar = np.full(int(number[-1]) - first + 1 + length, np.nan)
    calendar[number - first] = candles.prices("close")[is_counted]
    windows = sliding_window_view(calendar, length)
    at = (hours + HOUR_MS) // step - first + 1
    return windows.min(axis=1)[at], windows.max(axis=1)[at]
