"""How many ticks make a unit of price: inferred from prices, checked when given, kept for a market that is stored.

Prices in ticks themselves are `domain.market_data.candles`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import MAX_TICKS, Float64

MAX_PRICE_SCALE: Final = 10**18
"""Largest price scale: 64-bit integers hold it."""
FLOAT_NOISE: Final = 1e-9
"""Relative difference that no venue's tick makes: sums, averages and conversions of floats leave it."""
FLOAT32_NOISE: Final = 2.0**-24
"""Largest relative error of a number that was once kept in 32 bits."""
COARSEST: Final = 1e-4
"""Largest relative error that a price scale given by the user may make: one hundredth of a percent."""


def tolerance_of(prices: Float64) -> float:
    """Return the relative difference that is noise: more where every price is exactly a 32-bit float."""
    with np.errstate(over="ignore", under="ignore"):
        is_short = bool((prices.astype(np.float32) == prices).all())
    return FLOAT32_NOISE if is_short else FLOAT_NOISE


def infer_scale(prices: Float64) -> int:
    """Return the smallest power of ten whose ticks give every price up to noise.

    Parameters
    ----------
    prices : ndarray of float64
        Positive, finite.

    Raises
    ------
    UsageError
        No scale holds the smallest and the largest price.
    """
    tolerance = tolerance_of(prices) * prices
    scale = 1
    while not _is_held(prices, scale, tolerance):
        if scale == MAX_PRICE_SCALE:
            raise UsageError(f"Prices down to {prices.min()} are finer than ticks of 1/{MAX_PRICE_SCALE}.")
        scale *= 10
    if float(prices.max()) * scale > MAX_TICKS:
        raise UsageError(f"Prices from {prices.min()} to {prices.max()} do not fit one scale.")
    return scale


def _is_held(prices: Float64, scale: int, tolerance: Any) -> bool:
    return bool((np.abs(np.rint(prices * scale) / scale - prices) <= tolerance).all())


def is_held(prices: Float64, scale: int) -> bool:
    """Return whether ticks of 1/scale give every price up to noise."""
    return _is_held(prices, scale, tolerance_of(prices) * prices) and float(prices.max()) * scale <= MAX_TICKS


def check_scale(prices: Float64, scale: int) -> None:
    """Refuse a given scale that would change prices.

    Raises
    ------
    UsageError
        Prices are finer than its ticks, or too large for them; names a scale that works.
    """
    if scale > MAX_PRICE_SCALE or float(prices.max()) * scale > MAX_TICKS:
        raise UsageError(f"Prices up to {prices.max()} are too large for {scale:,} ticks per unit.", _hint(prices))
    error = np.abs(np.rint(prices * scale) / scale - prices) / prices
    if float(error.max()) > COARSEST:
        worst = float(prices[np.unravel_index(int(np.argmax(error)), error.shape)])
        raise UsageError(
            f"The price {worst} is finer than a tick of 1/{scale}: it would become {round(worst * scale) / scale}.",
            _hint(prices),
        )


def _hint(prices: Float64) -> str:
    try:
        return f"Leave --price-scale out, or say --price-scale {infer_scale(prices)}."
    except UsageError as error:
        return error.what
