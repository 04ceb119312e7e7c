"""A market's closes in a payload: exact over a week of minutes, and no finer than a longer chart can show.

See `payload` for the rest of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from regime_pipeline.dashboard.data.integer_codec import pack
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, TIMEFRAME_MINUTES
from regime_pipeline.domain.market_data.window import Int64

FINE_BARS: Final = 10_080
"""So many newest bars, a week of minutes, are all drawn; earlier ones at the next longer timeframe, up to the hour."""
_STEPS_PER_MOVE: Final = 4


@dataclass(frozen=True, eq=False)
class DrawnPrices:
    """Closes of bars on an unbroken calendar, n of them.

    Parameters
    ----------
    start_ms, step_ms : int
        Open of the first bar, and how long each is.
    price_step_ticks : int
        Closes are counted in such steps.
    steps : ndarray of float64, shape (n,)
        Closes in steps; NaN where a bar, or one of those that a longer one stands for, is missing.
    """

    start_ms: int
    step_ms: int
    price_step_ticks: int
    steps: Float64

    @classmethod
    def of(cls, start_ms: int, step_ms: int, close: Float64, *, is_exact: bool = True) -> Self:
        """Return closes in ticks, shape (n,), as they are drawn."""
        step = 1 if is_exact else price_step_ticks(close)
        return cls(start_ms, step_ms, step, np.rint(close / step))

    @property
    def document(self) -> dict[str, Any]:
        """As `static/codec.js` reads them."""
        fields = {"start_ms": self.start_ms, "step_ms": self.step_ms, "price_step_ticks": self.price_step_ticks}
        return {**fields, "data": pack(self.steps)}

    def ticks_at(self, close_ms: Int64) -> Float64:
        """Return the drawn closes of the bars that close at these times, in ticks; NaN where none does."""
        at, rest = np.divmod(close_ms - self.start_ms, self.step_ms)
        found = np.full(len(close_ms), np.nan)
        inside = (rest == 0) & (at > 0) & (at <= len(self.steps))
        found[inside] = self.steps[at[inside] - 1] * self.price_step_ticks
        return found


def drawn_prices(rows: MarketRows) -> list[DrawnPrices]:
    """Return the closes of a market, the oldest first."""
    step_ms = rows.market.step_ms
    first = rows.start_ms // step_ms * step_ms
    close = np.full(max((rows.through_ms - first) // step_ms, 0), np.nan)
    inside = rows.bars.open_time_ms >= first
    close[(rows.bars.open_time_ms[inside] - first) // step_ms] = rows.bars.close[inside]
    longer_ms = _longer_ms(step_ms)
    cut, is_exact = _cut(len(close), first, step_ms, longer_ms), len(close) <= FINE_BARS
    parts = [DrawnPrices.of(first + cut * step_ms, step_ms, close[cut:], is_exact=is_exact)]
    if cut:
        groups = close[:cut].reshape(-1, longer_ms // step_ms)
        last = np.where(np.isnan(groups).any(axis=1), np.nan, groups[:, -1])
        parts.insert(0, DrawnPrices.of(first, longer_ms, last, is_exact=is_exact))
    return parts


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
