"""Closed candles of one market as columns: the one form in which candles travel through the package.

Its invariants are enforced here (order, alignment, high and low). Gaps are never filled. See `sources` for where
candles come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64, to_iso

Float64 = NDArray[np.float64]
MAX_TICKS: Final = 2**50
"""Largest price in ticks: window sums of 1,024 bars then stay exact in int64."""
_CASTABLE: Final = 2.0**62
"""Larger floats have no int64."""


@dataclass(frozen=True, eq=False)
class Candles:
    """Closed candles of one market.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    price_scale : int
        Ticks per unit of quote currency: a price is `ticks / price_scale`.
    open_time_ms : ndarray of int64, shape (n,)
        Bar opens in epoch milliseconds UTC; strictly ascending multiples of the bar length. Gaps are allowed.
    open, high, low, close : ndarray of int64, shape (n,)
        Prices in ticks; `0 < low <= open, close <= high`.
    volume : ndarray of float64, shape (n,)
        Base volume, finite and not negative. Zero-volume bars are bars.

    Raises
    ------
    BadCandlesError
        An invariant is broken; names the first offending bar.
    """

    market: Market
    price_scale: int
    open_time_ms: Int64
    open: Int64
    high: Int64
    low: Int64
    close: Int64
    volume: Float64

    def __post_init__(self) -> None:
        """Check every invariant; a `Candles` that exists is sound."""
        for name, rule in _broken_rules(self):
            if rule.any():
                at = int(np.argmax(rule))
                raise BadCandlesError(f"{self.market} candle {to_iso(int(self.open_time_ms[at]))} (row {at}): {name}.")

    def __len__(self) -> int:
        return len(self.open_time_ms)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | Int64) -> Candles:
        """Return the chosen rows, in their order."""
        return _rebuild(self, {name: getattr(self, name)[rows] for name in COLUMNS})

    @classmethod
    def empty(cls, market: Market, price_scale: int) -> Candles:
        """Return no candles."""
        none = np.empty(0, dtype=np.int64)
        return cls(market, price_scale, none, none, none, none, none, np.empty(0))

    @classmethod
    def from_prices(
        cls, market: Market, price_scale: int, open_time_ms: Int64, prices: Sequence[Float64], volume: Float64
    ) -> Candles:
        """Build from float prices (open, high, low, close), rounded half to even to the nearest tick."""
        given = np.asarray(prices, dtype=np.float64)
        sound = [("not finite", np.isfinite(given)), ("too large for its scale", abs(given) <= _CASTABLE / price_scale)]
        for fault, is_sound in sound:
            if not is_sound.all():
                at = int(np.argmin(is_sound.all(axis=0)))
                moment = to_iso(int(open_time_ms[at]))
                raise BadCandlesError(f"{market} candle {moment} (row {at}): a price is {fault}.")
        opens, highs, lows, closes = (np.rint(price * price_scale).astype(np.int64) for price in given)
        return cls(market, price_scale, open_time_ms, opens, highs, lows, closes, np.asarray(volume, dtype=np.float64))

    @property
    def close_time_ms(self) -> Int64:
        """Bar closes in epoch milliseconds (exclusive end of the bar)."""
        return self.open_time_ms + self.market.step_ms

    def prices(self, column: str) -> Float64:
        """Return a price column in quote currency, float64."""
        return np.asarray(getattr(self, column) / self.price_scale, dtype=np.float64)

    def between(self, start_ms: int, end_ms: int) -> Candles:
        """Return the candles whose open time lies in [start_ms, end_ms)."""
        first, last = np.searchsorted(self.open_time_ms, [start_ms, end_ms])
        return self[int(first) : int(last)]

    def closed_by(self, moment_ms: int) -> Candles:
        """Return the candles closed at or before the moment: what was known then."""
        return self.between(-(2**62), moment_ms - self.market.step_ms + 1)


COLUMNS: Final = ("open_time_ms", "open", "high", "low", "close", "volume")


def _broken_rules(c: Candles) -> list[tuple[str, NDArray[np.bool_]]]:
    """Each rule's name with a mask of the rows that break it."""
    lengths = {len(getattr(c, name)) for name in COLUMNS}
    if len(lengths) != 1:
        raise BadCandlesError(f"{c.market}: columns of different lengths {sorted(lengths)}.")
    late = np.zeros(len(c.open_time_ms), dtype=np.bool_)
    late[1:] = np.diff(c.open_time_ms) <= 0
    return [
        ("not after the candle before it (unsorted or duplicate)", late),
        (f"the open time is not a multiple of {c.market.timeframe}", c.open_time_ms % c.market.step_ms != 0),
        ("a price is zero or negative", c.low <= 0),
        ("a price is too large for its scale", c.high > MAX_TICKS),
        ("high is below another price", c.high < np.maximum(np.maximum(c.open, c.close), c.low)),
        ("low is above another price", c.low > np.minimum(c.open, c.close)),
        ("volume is negative or not finite", ~(np.isfinite(c.volume) & (c.volume >= 0))),
    ]


def concatenate(parts: Sequence[Candles]) -> Candles:
    """Join candles of one market, whatever their order; overlaps are refused by the invariants."""
    order = np.argsort(np.concatenate([part.open_time_ms for part in parts]), kind="stable")
    return _rebuild(parts[0], {name: np.concatenate([getattr(p, name) for p in parts])[order] for name in COLUMNS})


def _rebuild(candles: Candles, columns: dict[str, Any]) -> Candles:
    """Return the same market's candles with other columns."""
    return Candles(candles.market, candles.price_scale, **columns)
