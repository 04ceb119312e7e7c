"""Compiled walk of a grid over candles in whole ticks and lots; every sum is an exact integer.

See `grid_run` for units, fees and what the sums mean.
"""

from __future__ import annotations

import numpy as np
from numba import njit

CASH, INVENTORY, COST, REALISED, MAKER_NOTIONAL, BUYS, SELLS, ROUND_TRIPS = range(8)


@njit(cache=True, nogil=True)
def _trade_leg(start, end, lines, lots, entry, is_bought, sums):  # type: ignore[no-untyped-def]
    """Fill what lies on the way from one price to another: buys at lower lines going down, sells going up."""
    if end < start:
        for level in range(lots.size - 1, -1, -1):
            if entry[level] == 0 and lines[level] >= end:
                worth = lots[level] * lines[level]
                entry[level], is_bought[level] = lines[level], True
                sums[CASH] -= worth
                sums[INVENTORY] += lots[level]
                sums[COST] += worth
                sums[MAKER_NOTIONAL] += worth
                sums[BUYS] += 1
    elif end > start:
        for level in range(lots.size):
            if entry[level] != 0 and lines[level + 1] <= end:
                worth = lots[level] * lines[level + 1]
                cost = lots[level] * entry[level]
                sums[CASH] += worth
                sums[INVENTORY] -= lots[level]
                sums[COST] -= cost
                sums[REALISED] += worth - cost
                sums[MAKER_NOTIONAL] += worth
                sums[SELLS] += 1
                sums[ROUND_TRIPS] += is_bought[level]
                entry[level], is_bought[level] = 0, False


@njit(cache=True, nogil=True)
def walk_grid(opens, highs, lows, closes, lines, lots, entry):  # type: ignore[no-untyped-def]
    """Return the sums after each bar.

    Parameters
    ----------
    opens, highs, lows, closes : ndarray of int64, shape (n,)
        Prices in ticks. A bar's path is open, nearer extreme (the low if both are as near), other extreme, close; the
        way from the close before to the open belongs to the bar.
    lines : ndarray of int64, shape (k + 1,)
        Price lines in ticks, ascending.
    lots : ndarray of int64, shape (k,)
        Base per level.
    entry : ndarray of int64, shape (k,)
        Price at which each level was bought before the first bar, 0 where it holds nothing; changed in place.

    Returns
    -------
    ndarray of int64, shape (8, n)
        Cash (change since before the first bar's fills), inventory in lots, cost of the inventory, realised gain
        before fees, notional filled, buys, sells, completed round trips; money in ticks times lots.
    """
    out = np.zeros((8, closes.size), dtype=np.int64)
    sums = np.zeros(8, dtype=np.int64)
    is_bought = np.zeros(lots.size, dtype=np.bool_)
    for level in range(lots.size):
        if entry[level] != 0:
            sums[INVENTORY] += lots[level]
            sums[COST] += lots[level] * entry[level]
    price = opens[0]
    for bar in range(closes.size):
        is_low_first = opens[bar] - lows[bar] <= highs[bar] - opens[bar]
        first = lows[bar] if is_low_first else highs[bar]
        second = highs[bar] if is_low_first else lows[bar]
        for target in (opens[bar], first, second, closes[bar]):
            _trade_leg(price, target, lines, lots, entry, is_bought, sums)
            price = target
        out[:, bar] = sums
    return out
