"""Bars in which nobody traded, for markets that declare that an absent bar means just that.

Nothing is filled by default: see `completeness` for what an absent bar means then, `sources.quiet` for who declares.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.completeness import Spans, absent_bars, is_covered
from regime_pipeline.domain.market_data.window import Int64

AbsentBars = Literal["gap", "no_trade"]
"""What an absent bar inside covered time means: nothing is known (`gap`), or nobody traded (`no_trade`)."""
GAP: Final = "gap"
NO_TRADE: Final = "no_trade"


def is_no_trade(candles: Candles) -> NDArray[np.bool_]:
    """Return for each candle whether nobody traded in it: volume 0 and a single price; bool, shape (n,)."""
    return np.asarray((candles.volume == 0) & (candles.low == candles.high))


def flat_bars(like: Candles, open_time_ms: Int64, close: Int64) -> Candles:
    """Return bars without a trade, volume 0, at prices in the ticks of some candles of their market."""
    return Candles(like.market, like.price_scale, open_time_ms, close, close, close, close, np.zeros(len(close)))


def fill_no_trade(candles: Candles, covered: Spans, before: Candles | None = None) -> Candles:
    """Return the candles with a flat bar of volume 0, at the close before it, for every absent bar of the spans.

    Parameters
    ----------
    candles : Candles
        What a source gave; none of them is changed.
    covered : tuple of (start_ms, end_ms)
        Merged spans of open time, epoch milliseconds UTC, in which the source confirms absence.
    before : Candles, optional
        The candle directly before the first span, at the same price scale, or none: what absent bars at its beginning
        are flat at.

    Returns
    -------
    Candles
        An absent bar stays absent where no bar is known directly before it: before the first trade, and behind time
        that no span covers, since a trade may be hidden there. So a bar depends on earlier bars alone.
    """
    known = candles if before is None or not len(before) else concatenate([before, candles])
    if not covered or not len(known):
        return candles
    start = min(covered[0][0], int(known.open_time_ms[0]))
    times, is_absent = absent_bars(candles.market, start, covered[-1][1], known)
    row = np.searchsorted(known.open_time_ms, times, side="right") - 1
    is_unknown = is_absent & ~is_covered(times, covered)
    newest_unknown = np.maximum.accumulate(np.where(is_unknown, times, np.iinfo(np.int64).min))
    fills = is_absent & (row >= 0)
    fills[fills] = known.open_time_ms[row[fills]] > newest_unknown[fills]
    if not fills.any():
        return candles
    return concatenate([candles, flat_bars(candles, times[fills], known.close[row[fills]])])
