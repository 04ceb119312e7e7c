"""The six fitted numbers behind every hold probability, and the limits of what can be asked.

See `kernels` for the formula, `services.hold_model` for the shipped numbers, `evaluation.fit_hold` for the fit.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Final

import numpy as np

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market

MIN_HOURS: Final = 12
MAX_HOURS: Final = 168
"""Horizons that may be asked for, both included."""
MIN_PROBABILITY: Final = 0.01
MAX_PROBABILITY: Final = 0.99
"""Probabilities that a band may be asked for, both included."""
LONGEST_BAR_MS: Final = 4 * HOUR_MS


@dataclass(frozen=True)
class HoldModel:
    """Coefficients of the forecast variance and of its uncertainty.

    With l24, l168, l720 the logarithms of the mean squared hourly log return over 24, 168 and 720 hours and T hours
    ahead, the log variance of one hour to come is normal with mean ``level + l168 + day_weight (l24 - l168) +
    month_weight (l720 - l168) + horizon_slope ln(T/24)`` and standard deviation
    ``2 exp(log_spread + spread_slope ln(T/24))``.

    Parameters
    ----------
    level, day_weight, month_weight, horizon_slope, log_spread, spread_slope : float
        As above; finite.

    Raises
    ------
    UsageError
        A coefficient is not finite.
    """

    level: float
    day_weight: float
    month_weight: float
    horizon_slope: float
    log_spread: float
    spread_slope: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        if not np.isfinite(self.coefficients).all():
            raise UsageError("A coefficient of the hold model is not finite.", "Fit the model again.")

    @property
    def coefficients(self) -> Float64:
        """The six numbers in their order, float64, shape (6,)."""
        return np.array(astuple(self), dtype=np.float64)

    @cached_property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that change with any coefficient."""
        return hashlib.sha256(self.coefficients.astype("<f8").tobytes()).hexdigest()[:16]


def is_supported(market: Market) -> bool:
    """Tell whether the market's bars are short enough: a day must hold several returns, so four hours at most."""
    return market.step_ms <= LONGEST_BAR_MS


def check_market(market: Market) -> None:
    """Refuse a timeframe without hold probabilities.

    Raises
    ------
    UsageError
        Its bars are longer than four hours.
    """
    if not is_supported(market):
        raise UsageError(
            f"There is no hold probability on {market.timeframe}: a day has too few bars to measure volatility.",
            "Use 1m, 3m, 5m, 15m, 30m, 1h, 2h or 4h.",
        )


def check_hours(hours: int) -> None:
    """Refuse a horizon beyond what the model was tested on.

    Raises
    ------
    UsageError
        It is not a whole number of hours from 12 to 168.
    """
    is_whole = isinstance(hours, int | np.integer) and not isinstance(hours, bool)
    if not is_whole or not MIN_HOURS <= hours <= MAX_HOURS:
        raise UsageError(
            f"A horizon of {hours} hours cannot be asked for.",
            f"Give a whole number from {MIN_HOURS} to {MAX_HOURS}, for example 24.",
        )


def check_bounds(lower: float, upper: float) -> None:
    """Refuse bounds that enclose no band of prices.

    Raises
    ------
    UsageError
        They are not finite, not above zero, or not in order.
    """
    if not (np.isfinite([lower, upper]).all() and 0 < lower < upper):
        raise UsageError(f"{lower:g} to {upper:g} is not a band of prices.", "Give 0 < lower < upper.")


def check_probability(probability: float) -> None:
    """Refuse a probability that no band can be found for.

    Raises
    ------
    UsageError
        It is not within .01 to .99.
    """
    if not MIN_PROBABILITY <= probability <= MAX_PROBABILITY:
        raise UsageError(
            f"A band cannot be given a hold probability of {probability:g}.",
            f"Give a number from {MIN_PROBABILITY} to {MAX_PROBABILITY}, for example 0.8.",
        )
