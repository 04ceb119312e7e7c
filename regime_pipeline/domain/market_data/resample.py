"""Bars of a longer timeframe from shorter ones, exactly: first open, highest high, lowest low, last close, volume sum.

The caller chooses whether a partly covered bar exists; nothing is ever filled.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.window import Int64


def resample(base: Candles, timeframe: str) -> Candles:
    """Return one bar for every span of the longer timeframe that holds at least one base bar, as exchanges do.

    Parameters
    ----------
    base : Candles
        Bars of a timeframe that divides the longer one.
    timeframe : str
        The longer timeframe.

    Returns
    -------
    Candles
        Same symbol and price scale. Prices are exact (ticks); volume is the float64 sum of each bar's base bars,
        which depends on nothing outside the bar.

    Raises
    ------
    UsageError
        The timeframe is not a multiple of the base's.
    """
    market = base.market.on(timeframe)
    if market.step_ms % base.market.step_ms:
        raise UsageError(f"{base.market} cannot be resampled to {timeframe}.", "Choose a multiple of its timeframe.")
    first, _ = _groups(base, market.step_ms)
    if not len(first):
        return Candles.empty(market, base.price_scale)
    return Candles(
        market,
        base.price_scale,
        base.open_time_ms[first] // market.step_ms * market.step_ms,
        base.open[first],
        np.maximum.reduceat(base.high, first),
        np.minimum.reduceat(base.low, first),
        base.close[np.append(first[1:], len(base)) - 1],
        np.add.reduceat(base.volume, first),
    )


def resample_complete(base: Candles, timeframe: str) -> Candles:
    """Return the bars of the longer timeframe all of whose own base bars are there, whatever lacks beside them.

    Parameters
    ----------
    base : Candles
        Bars of at most one hour.
    timeframe : str
        The longer timeframe.

    Returns
    -------
    Candles
        As `resample` builds them.
    """
    bars = resample(base, timeframe)
    _, count = _groups(base, bars.market.step_ms)
    return bars[count == bars.market.step_ms // base.market.step_ms]


def _groups(base: Candles, step_ms: int) -> tuple[Int64, Int64]:
    """First row and length of each run of base bars within one span of `step_ms`; int64, int64."""
    spans = base.open_time_ms // step_ms
    first = np.flatnonzero(np.diff(spans, prepend=spans[:1] - 1)) if len(base) else np.empty(0, dtype=np.int64)
    return first, np.diff(np.append(first, len(base)))
