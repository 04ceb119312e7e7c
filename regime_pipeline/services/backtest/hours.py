"""The rows of a backtest: one per market and hour, with verdict, close, what the bar after did, and labels.

See `measure` for how rows are counted and averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.sorted_times import common_rows, is_in
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.services.backtest.classes import ABSTAIN, Classes
from regime_pipeline.services.backtest.hindsight import HindsightRule, hindsight_classes
from regime_pipeline.services.backtest.readers import FoundVerdicts

_BPS = 10_000.0


@dataclass(frozen=True, eq=False)
class BacktestHours:
    """Hours of one market, n of them, ascending; above one hour only those in which a bar closes.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    asked : int
        Hours that the span has; n of them have a verdict row.
    price_scale : int
        Ticks per unit of price.
    policies : tuple of str
        Hashes of the policies behind the verdicts.
    hour_start : ndarray of int64, shape (n,)
        Epoch milliseconds UTC; the verdict is known at the hour's end.
    verdict, direction : ndarray of int8, shape (n,)
        Codes into `schema.VERDICTS` and `schema.DIRECTIONS`.
    confidence : ndarray of float64, shape (n,)
        0..1.
    close : ndarray of float64, shape (n,)
        Price at the hour's end, NaN where the bar that closes then is absent.
    next_return_bps : ndarray of float64, shape (n,)
        Log return over the bar that opens when the verdict is known (below one hour: over the hour after), basis
        points; NaN where one of the two closes is absent or lies beyond the span.
    truth, hindsight : ndarray of int8, shape (n,)
        Codes into `tracks.CLASSES`, ABSTAIN where there is no label.
    """

    market: Market
    asked: int
    price_scale: int
    policies: tuple[str, ...]
    hour_start: Int64
    verdict: NDArray[np.int8]
    direction: NDArray[np.int8]
    confidence: Float64
    close: Float64
    next_return_bps: Float64
    truth: Classes
    hindsight: Classes

    def __len__(self) -> int:
        return len(self.hour_start)

    @property
    def is_joined(self) -> NDArray[np.bool_]:
        """Whether the observation before each row is there too, bool, shape (n,)."""
        joined = np.zeros(len(self), dtype=np.bool_)
        joined[1:] = np.diff(self.hour_start) == self.market.observation_ms
        return joined


def closing_hours(market: Market, window: Window) -> Int64:
    """Return the hours of a window at whose end an observation closes, int64 epoch milliseconds UTC, ascending."""
    hours = window.hours
    return np.asarray(hours[(hours + HOUR_MS) % market.observation_ms == 0])


def market_hours(
    market: Market, window: Window, found: FoundVerdicts, truth: Classes | None, rule: HindsightRule
) -> BacktestHours:
    """Return the rows of one market.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    window : Window
        The span; nothing beyond it is read, so later bars never change a report.
    found : FoundVerdicts
        Verdicts and candles.
    truth : ndarray of int8, shape (n,), or None
        True class of each of the n found hours, where there is one.
    rule : HindsightRule
        How hindsight labels are made.
    """
    calendar = closing_hours(market, window)
    closes = _closes(found.candles, calendar)
    labels = hindsight_classes(closes, rule)
    keep = is_in(found.hour_start, calendar)
    at = np.searchsorted(calendar, found.hour_start[keep])
    returns = np.append(np.diff(np.log(closes)), np.nan) * _BPS if len(closes) else closes
    none = np.full(len(found.hour_start), ABSTAIN, dtype=np.int8)
    return BacktestHours(
        market=market,
        asked=len(calendar),
        price_scale=found.candles.price_scale,
        policies=found.policies,
        hour_start=found.hour_start[keep],
        verdict=found.verdict[keep],
        direction=found.direction[keep],
        confidence=found.confidence[keep],
        close=closes[at],
        next_return_bps=returns[at],
        truth=(none if truth is None else truth)[keep],
        hindsight=labels[at],
    )


def no_hours(market: Market, window: Window) -> BacktestHours:
    """Return the rows of a market that has none in the span."""
    ints, codes, floats = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int8), np.empty(0)
    asked = len(closing_hours(market, window))
    return BacktestHours(market, asked, 1, (), ints, codes, codes, floats, floats, floats, codes, codes)


def _closes(candles: Candles, calendar: Int64) -> Float64:
    """Close at the end of each hour, NaN where no bar closes then."""
    closes = np.full(len(calendar), np.nan)
    mine, theirs = common_rows(calendar + HOUR_MS, candles.close_time_ms)
    closes[mine] = candles.prices("close")[theirs]
    return closes
