"""A market's closes as a payload holds them: exact over a week of minutes, and no finer than a chart of more can show.

What else a payload holds stands in `payload`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard.packing import pack
from regime_pipeline.dashboard.rows import MarketRows
from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.market import HOUR_MS, MINUTE_MS, TIMEFRAME_MINUTES

FINE_BARS: Final = 10_080
"""So many newest bars, a week of minutes, are all drawn; earlier ones at the next longer timeframe, up to the hour."""
_STEPS_PER_MOVE: Final = 4


def drawn_prices(rows: MarketRows) -> list[dict[str, Any]]:
    """Return the closes of a market on unbroken calendars, the oldest first.

    Returns
    -------
    list of dict
        `start_ms` and `step_ms` (the bars' own), `price_step_ticks`, and `data` (packed closes in such steps, missing
        where a bar, or one of those that a longer one stands for, is missing).
    """
    step_ms = rows.market.step_ms
    first = rows.start_ms // step_ms * step_ms
    close = np.full(max((rows.through_ms - first) // step_ms, 0), np.nan)
    inside = rows.bars.open_time_ms >= first
    close[(rows.bars.open_time_ms[inside] - first) // step_ms] = rows.bars.close[inside]
    longer_ms = _longer_ms(step_ms)
    cut, many = _cut(len(close), first, step_ms, longer_ms), longer_ms // step_ms
    is_exact = len(close) <= FINE_BARS
    parts = [priced(first + cut * step_ms, step_ms, close[cut:], is_exact=is_exact)]
    if cut:
        groups = close[:cut].reshape(-1, many)
        last = np.where(np.isnan(groups).any(axis=1), np.nan, groups[:, -1])
        parts.insert(0, priced(first, longer_ms, last, is_exact=is_exact))
    return parts


def priced(start_ms: int, step_ms: int, close: Float64, *, is_exact: bool = True) -> dict[str, Any]:
    """Return closes in ticks, shape (n,), of bars of `step_ms` from `start_ms` on; NaN where there is none."""
    step = 1 if is_exact else price_step_ticks(close)
    return {"start_ms": start_ms, "step_ms": step_ms, "price_step_ticks": step, "data": pack(np.rint(close / step))}


def price_step_ticks(close: Float64) -> int:
    """Return in which steps closes are drawn where they need not be exact, in ticks.

    Notes
    -----
    The largest 1, 2 or 5 times a power of ten that is at most a quarter of the median move from bar to bar, and 1
    where that move is smaller.
    """
    moves = np.abs(np.diff(close))
    finest = max(float(np.nanmedian(moves)) / _STEPS_PER_MOVE, 1.0) if np.any(~np.isnan(moves)) else 1.0
    power = 10 ** int(np.floor(np.log10(finest)))
    return int(max(power * nice for nice in (1, 2, 5) if power * nice <= finest))


def _longer_ms(step_ms: int) -> int:
    """Step of the next longer timeframe; an hour, and what is longer, stays."""
    longer = (minutes * MINUTE_MS for minutes in TIMEFRAME_MINUTES.values())
    return min((ms for ms in longer if step_ms < ms <= HOUR_MS), default=step_ms)


def _cut(bars: int, first: int, step_ms: int, longer_ms: int) -> int:
    """Place of the first bar that is drawn as it is: where a longer one begins; 0 if all of them are."""
    if bars <= FINE_BARS or longer_ms == step_ms:
        return 0
    at = first + (bars - FINE_BARS) * step_ms
    return (at // longer_ms * longer_ms - first) // step_ms
