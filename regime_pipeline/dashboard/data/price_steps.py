"""In which steps prices are drawn where they need not be exact: each day in those that the day before asks for.

So a price is rounded by what was known before its own day began, and playback, which shows it, tells nothing of what
came after. See `prices` and `candles` for what is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import DAY_MS
from regime_pipeline.domain.market_data.window import Int64

_STEPS_PER_MOVE: Final = 4


def price_steps(start_ms: int, step_ms: int, close: Float64) -> Int64:
    """Return the step of each bar of an unbroken calendar, in ticks.

    Parameters
    ----------
    start_ms, step_ms : int
        Open of the first bar, epoch milliseconds UTC, and how long each is.
    close : ndarray of float64, shape (n,)
        In ticks; NaN where a bar is missing.

    Returns
    -------
    ndarray of int64, shape (n,)
        `price_step_ticks` of the closes of the UTC day before the bar's; 1, which is exact, on the first day. A day
        without two closes in a row passes on the step that it has itself.
    """
    days = (start_ms + step_ms * np.arange(len(close), dtype=np.int64)) // DAY_MS
    found, step = np.ones(len(close), dtype=np.int64), 1
    for first, end in runs_of(days, slice(0, len(days))):
        found[first:end] = step
        step = price_step_ticks(close[first:end]) or step
    return found


def price_step_ticks(close: Float64) -> int:
    """Return the step that closes in ticks ask for, shape (n,), NaN where missing; 0 where none follows another.

    Notes
    -----
    The largest 1, 2 or 5 times a power of ten that is at most a quarter of the median move from bar to bar, and 1
    where that move is smaller.
    """
    moves = np.abs(np.diff(close))
    if np.all(np.isnan(moves)):
        return 0
    finest = max(float(np.nanmedian(moves)) / _STEPS_PER_MOVE, 1.0)
    power = 10 ** int(np.floor(np.log10(finest)))
    return int(max(power * nice for nice in (1, 2, 5) if power * nice <= finest))


def runs_of(values: Int64, kept: slice) -> Iterator[tuple[int, int]]:
    """Yield the first place and the one past the last of every run of equal values among those that are kept."""
    inside = values[kept]
    bounds = [0, *(np.flatnonzero(np.diff(inside)) + 1).tolist(), len(inside)]
    for first, end in pairwise(bounds):
        if first < end:
            yield kept.start + first, kept.start + end
