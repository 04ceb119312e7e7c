"""A market's closes in a payload: exact over a week of minutes, and no finer than a longer chart can show.

See `payload` for the rest of it, `price_steps` for how prices are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from regime_pipeline.dashboard.data.integer_codec import pack
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.price_steps import price_steps, runs_of
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS
from regime_pipeline.domain.market_data.window import Int64

FINE_BARS: Final = 10_080
"""So many newest bars, a week of minutes, are all drawn; earlier ones at the next longer timeframe, up to the hour."""
_DRAWN_MS: Final = (5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS)


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
    def of(cls, start_ms: int, step_ms: int, close: Float64, price_step_ticks: int = 1) -> Self:
        """Return closes in ticks, shape (n,), as they are drawn."""
        return cls(start_ms, step_ms, price_step_ticks, np.rint(close / price_step_ticks))

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
    """Return the closes of a market, the oldest first; in several parts where not every one is drawn exactly."""
    step_ms, first, close = rows.market.step_ms, rows.first_bar_ms, rows.bars_on_calendar("close")
    if len(close) <= FINE_BARS:
        return [DrawnPrices.of(first, step_ms, close)]
    longer_ms = longer_step_ms(step_ms)
    cut, bars = _cut(len(close), first, step_ms, longer_ms), longer_ms // step_ms
    groups = close[: len(close) // bars * bars].reshape(-1, bars)
    last = np.where(np.isnan(groups).any(axis=1), np.nan, groups[:, -1])
    older = _rounded(first, longer_ms, last, slice(0, cut // bars))
    return [*older, *_rounded(first, step_ms, close, slice(cut, len(close)))]


def _rounded(start_ms: int, step_ms: int, close: Float64, kept: slice) -> list[DrawnPrices]:
    """The kept bars of a calendar in parts of one price step each."""
    price_step = price_steps(start_ms, step_ms, close)
    return [
        DrawnPrices.of(start_ms + at * step_ms, step_ms, close[at:end], int(price_step[at]))
        for at, end in runs_of(price_step, kept)
    ]


def longer_steps_ms(step_ms: int) -> list[int]:
    """Return the steps at which older bars of a step may be drawn, each a whole number of them, shortest first."""
    return [ms for ms in _DRAWN_MS if ms > step_ms and ms % step_ms == 0]


def longer_step_ms(step_ms: int) -> int:
    """Return the shortest of them; an hour, and what is longer, stays."""
    return next(iter(longer_steps_ms(step_ms)), step_ms)


def _cut(bars: int, first: int, step_ms: int, longer_ms: int) -> int:
    """Place of the first bar that is drawn as it is: where a longer one begins; 0 if all of them are."""
    if longer_ms == step_ms:
        return 0
    at = first + (bars - FINE_BARS) * step_ms
    return (at // longer_ms * longer_ms - first) // step_ms
