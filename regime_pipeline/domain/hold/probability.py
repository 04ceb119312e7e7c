"""P(every close of the next hours stays inside a band), the band of a given probability, and both for many hours.

Source of the formula: two absorbing barriers (Borodin and Salminen, Handbook of Brownian Motion) with a heterogeneous
autoregressive forecast of variance (Corsi 2009) whose error is lognormal. See `model` for the fitted numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from regime_pipeline.domain.hold.model import MAX_PROBABILITY, MIN_PROBABILITY, HoldModel
from regime_pipeline.domain.hold.volatility import step_hours_of
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import Market

COLUMN_HORIZONS: Final = (24, 72)
"""Hours ahead of the columns that tables carry."""


def hold_probability(
    close: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    hours: ArrayLike,
    volatilities: ArrayLike,
    model: HoldModel,
    step_hours: int = 1,
) -> Float64:
    """Return the probability that every close of the next hours stays inside a band.

    Parameters
    ----------
    close, lower, upper : array_like of float
        Newest close and the edges of the band, quote currency; broadcast together.
    hours : array_like of float
        Hours ahead; tested for 12 to 168.
    volatilities : array_like of float, shape (3, ...)
        Mean squared log return per hour over 24, 168 and 720 hours (`recent_volatility`); the rest of the shape
        broadcasts with the others.
    model : HoldModel
        The six fitted numbers.
    step_hours : int
        Distance of two closes that count, hours.

    Returns
    -------
    ndarray of float64
        Broadcast shape, 0..1. 0 where the close is outside or on an edge; NaN where an input is NaN or not positive or
        the edges are not in order. Wider bands never get less, longer horizons never more.
    """
    from regime_pipeline.domain.hold.kernels import hold_probabilities

    means = np.asarray(volatilities, dtype=np.float64)
    *given, _ = np.broadcast_arrays(close, lower, upper, hours, means[0])
    shape = given[0].shape
    flat = [np.ascontiguousarray(values, dtype=np.float64).ravel() for values in given]
    close_, low, high, ahead = flat
    found = hold_probabilities(
        close_, low, high, ahead, _flat_means(means, shape), model.coefficients, float(step_hours)
    )
    return np.asarray(found, dtype=np.float64).reshape(shape)


def band_for(
    close: ArrayLike,
    probability: ArrayLike,
    hours: ArrayLike,
    volatilities: ArrayLike,
    model: HoldModel,
    step_hours: int = 1,
) -> tuple[Float64, Float64]:
    """Return the band around the close that holds with a probability: the inverse of `hold_probability`.

    Parameters
    ----------
    close, hours, volatilities, model, step_hours
        As `hold_probability` takes them.
    probability : array_like of float
        .01 to .99.

    Returns
    -------
    lower, upper : ndarray of float64
        Broadcast shape; both edges equally far from the close in logarithms. `hold_probability` of them is the
        probability within 1e-9; NaN where an input is NaN or the probability is out of its bounds.
    """
    from regime_pipeline.domain.hold.kernels import half_widths

    means = np.asarray(volatilities, dtype=np.float64)
    price, wanted, ahead, _ = np.broadcast_arrays(close, probability, hours, means[0])
    wanted = np.where((wanted >= MIN_PROBABILITY) & (wanted <= MAX_PROBABILITY), wanted, np.nan)
    wanted, ahead = (np.ascontiguousarray(values, dtype=np.float64).ravel() for values in (wanted, ahead))
    found = half_widths(wanted, ahead, _flat_means(means, price.shape), model.coefficients, float(step_hours))
    factor = np.exp(np.asarray(found, dtype=np.float64).reshape(price.shape))
    return price / factor, price * factor


def hold_columns(
    close: Float64,
    lower: ArrayLike,
    upper: ArrayLike,
    volatilities: Float64,
    model: HoldModel | None,
    market: Market,
    horizons: Sequence[int] = COLUMN_HORIZONS,
) -> dict[str, Float64]:
    """Return the hold probabilities of one band per hour, as columns for a table.

    Parameters
    ----------
    close, lower, upper, volatilities
        As `hold_probability` takes them, shapes (n,) and (3, n); NaN edges for no band.
    model : HoldModel, optional
        The six fitted numbers; without them every column is NaN.
    market : Market
        Gives the distance of two closes that count.
    horizons : sequence of int
        Hours ahead.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        `hold_24h`, `hold_72h` or as the horizons say, 0..1; NaN without a band, without a close or with too little
        history, and everywhere on 1d.
    """
    names = [f"hold_{ahead}h" for ahead in horizons]
    if model is None:
        return {name: np.full(len(close), np.nan) for name in names}
    step_hours = step_hours_of(market)
    return {
        name: hold_probability(close, lower, upper, ahead, volatilities, model, step_hours)
        for name, ahead in zip(names, horizons, strict=True)
    }


def _flat_means(means: Float64, shape: tuple[int, ...]) -> Float64:
    """Volatilities of every element, C order, shape (3, n)."""
    return np.ascontiguousarray(np.broadcast_to(means, (3, *shape))).reshape(3, -1)
