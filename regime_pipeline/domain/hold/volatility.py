"""How much the price has moved lately: mean squared log returns over a day, a week and a month of closes.

See `probability` for the forecast made from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.features.observations import Observations, lookback_hours
from regime_pipeline.domain.hold.model import is_supported
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64

WINDOW_HOURS: Final = (24, 168, 720)
FEWEST_HOURS: Final = (20, 140, 300)
"""Hours of each window whose return must be present (one return covers four hours on 4h)."""


@dataclass(frozen=True, eq=False)
class RecentVolatility:
    """What was known of a market at the close of n hours.

    Parameters
    ----------
    close : ndarray of float64, shape (n,)
        Newest close due by then, quote currency; NaN where that bar is absent.
    volatilities : ndarray of float64, shape (3, n)
        Mean squared log return per hour over the last 24, 168 and 720 hours; NaN where too little is present.
    """

    close: Float64
    volatilities: Float64


def step_hours_of(market: Market) -> int:
    """Return the distance of two closes that count: an hour, or a bar above one hour."""
    return market.observation_ms // HOUR_MS


def hold_lookback_hours(market: Market) -> int:
    """Return how many hours before an hour hold every close that its volatilities depend on."""
    return lookback_hours(market, WINDOW_HOURS[-1] * HOUR_MS // market.observation_ms)


def recent_volatility(candles: Candles, hours: Int64) -> RecentVolatility:
    """Return the close and the volatilities as known at the close of each hour.

    Parameters
    ----------
    candles : Candles
        Bars of one market. An hour uses the closes of the last 720 hours and the one before them, and nothing after
        its own close; more bars on either side change nothing.
    hours : ndarray of int64, shape (n,)
        Starts of the hours, epoch milliseconds UTC, in any order.

    Notes
    -----
    Below one hour only the closes on the hour count, so `5m`, `15m` and `1h` candles of one market give the same
    numbers. On 4h the closes are four hours apart and each mean is divided by four; between two of them the newest
    stands. A return needs both of its closes: holes are stepped over, and at least 20, 140 and 300 hours must be
    covered. On 1d everything is NaN: a day holds one return.
    """
    market, step = candles.market, candles.market.observation_ms
    close_time = candles.close_time_ms
    rows = np.flatnonzero(close_time % step == 0)
    closes = candles.close[rows]
    at, volatilities = _measured(market, close_time[rows] // step, closes, (hours + HOUR_MS) // step)
    close = np.full(len(hours), np.nan)
    close[at >= 0] = closes[at[at >= 0]] / candles.price_scale
    return RecentVolatility(close, volatilities)


def observed_variances(calendar: Observations, places: Int64) -> Float64:
    """Return the volatilities as known at some observations, from the closes in feature rows.

    Parameters
    ----------
    calendar : Observations
        Feature rows with `hour_close`, of the places and of the `hold_lookback_hours` before each.
    places : ndarray of int64, shape (k,)
        Places in the calendar.

    Returns
    -------
    ndarray of float64, shape (3, k)
        As `RecentVolatility.volatilities`; the same numbers but for rounding of prices.
    """
    closes = calendar.column("hour_close")
    numbers = np.flatnonzero(~np.isnan(closes))
    return _measured(calendar.market, numbers, closes[numbers], places)[1]


def _measured(
    market: Market, numbers: Int64, closes: NDArray[np.int64] | Float64, wanted: Int64
) -> tuple[Int64, Float64]:
    """Row of the close at each wanted number of the calendar, -1 for none, and the volatilities known then.

    Parameters
    ----------
    market : Market
        Gives the distance of two numbers, and whether there are volatilities at all.
    numbers, closes : ndarray, shape (m,)
        Calendar numbers of the closes, ascending, and the closes in any unit.
    wanted : ndarray of int64, shape (n,)
        Calendar numbers.
    """
    from regime_pipeline.domain.hold.kernels import squared_returns, trailing_mean_squares

    step_hours = step_hours_of(market)
    at = _rows_of(numbers, wanted) if is_supported(market) else np.full(len(wanted), -1, dtype=np.int64)
    lengths, fewest = (np.array(given, dtype=np.int64) // step_hours for given in (WINDOW_HOURS, FEWEST_HOURS))
    means = trailing_mean_squares(numbers, squared_returns(numbers, closes), at, lengths, fewest)
    return at, np.asarray(means / step_hours, dtype=np.float64)


def _rows_of(numbers: Int64, wanted: Int64) -> Int64:
    """Row of each wanted number, -1 where it is absent."""
    at = np.searchsorted(numbers, wanted, side="right") - 1
    is_there = np.append(numbers, np.iinfo(np.int64).min)[at] == wanted
    return np.where(is_there, at, -1).astype(np.int64)
