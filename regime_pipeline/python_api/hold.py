"""How long a band holds, from a user's candles: the probability of given bounds, and the bounds of a given probability.

See `services.queries.hold` for the same figures of stored markets.
"""

from __future__ import annotations

from typing import Any

from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.hold.outlook import Band, HoldOutlook
from regime_pipeline.python_api.inputs import PRICE_SCALE, SYMBOL, candles_of
from regime_pipeline.services.hold_model import default_hold_model


def hold_probability(
    candles: Any,
    lower: float,
    upper: float,
    hours: int = 24,
    timeframe: str | None = "1h",
    *,
    model: HoldModel | None = None,
    price_scale: int = PRICE_SCALE,
) -> float:
    """Return the probability that every close of the next hours stays between two prices.

    Parameters
    ----------
    candles : DataFrame
        As `classify_candles` takes them; the last 720 hours are used, and at least 300 of them are needed.
    lower, upper : float
        Edges of the band, quote currency.
    hours : int
        12 to 168, counted from the newest close on the hour (above an hour: from the newest close).
    timeframe : str, optional
        One of `1m 3m 5m 15m 30m 1h 2h 4h`; None takes the smallest distance of two candles. Up to one hour the hourly
        closes count, so every timeframe of a market gives the same figure; above it the closes of its bars do.
    model : HoldModel, optional
        Fitted numbers; the shipped ones if None.
    price_scale : int
        Ticks per unit of quote currency.

    Returns
    -------
    float
        0..1; 0 where the newest close is outside the band already.

    Raises
    ------
    BadCandlesError, UsageError
        The frame is not candles, the bounds are no band, hours or timeframe are out of bounds.
    MissingDataError
        There is too little history.

    Examples
    --------
    >>> rp.hold_probability(candles, lower=58_000, upper=64_000, hours=72)  # doctest: +SKIP
    0.61
    """
    return _outlook(candles, timeframe, model, price_scale).probability(lower, upper, hours)


def band_for(
    candles: Any,
    probability: float = 0.8,
    hours: int = 72,
    timeframe: str | None = "1h",
    *,
    model: HoldModel | None = None,
    price_scale: int = PRICE_SCALE,
) -> Band:
    """Return the band around the newest close that holds with a probability: the inverse of `hold_probability`.

    Parameters
    ----------
    candles, hours, timeframe, model, price_scale
        As `hold_probability` takes them.
    probability : float
        .01 to .99.

    Returns
    -------
    Band
        `lower` and `upper`, quote currency, equally far from the close in logarithms.

    Raises
    ------
    BadCandlesError, UsageError, MissingDataError
        As `hold_probability`.
    """
    return _outlook(candles, timeframe, model, price_scale).band(probability, hours)


def _outlook(candles: Any, timeframe: str | None, model: HoldModel | None, price_scale: int) -> HoldOutlook:
    sound = candles_of(candles, timeframe, SYMBOL, price_scale)
    return HoldOutlook.of(sound, model or default_hold_model())
