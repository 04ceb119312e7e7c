"""What the exchange's trading left: closed bars, the open bar as it stands, and the faults that lie in the bars.

See each exchange's routes for the form of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.market import MINUTE_MS, Market
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline_tests.exchange_simulator.clock import Clock
from regime_pipeline_tests.exchange_simulator.faults import Fault, Faults, Kind

_SHORT_CLOSE_MS: Final = 27_714
_OPEN_STEPS: Final = 7


@dataclass(frozen=True, slots=True)
class Listing:
    """What a symbol trades at this exchange.

    Parameters
    ----------
    minutes : callable
        `(start_ms, end_ms)` to the one-minute candles that open in it, past and future.
    first_ms : int
        Open time of its first minute, epoch milliseconds UTC.
    price_scale : int
        Ticks per unit of the quote currency.
    """

    minutes: Callable[[int, int], Candles]
    first_ms: int
    price_scale: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar as an exchange tells it; prices in units of the quote currency, times in epoch milliseconds UTC."""

    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Tape:
    """The bars of every listed symbol.

    Parameters
    ----------
    listings : mapping of str to Listing
        The symbols; the clock says what of their minutes has happened.
    clock : Clock
        The exchange's clock.
    faults : Faults
        What is wrong with bars.

    Notes
    -----
    A longer bar exists if any of its minutes does, as at real exchanges. The open bar changes with every question.
    """

    def __init__(self, listings: Mapping[str, Listing], clock: Clock, faults: Faults) -> None:
        self.listings = listings
        self._clock = clock
        self._faults = faults
        self._questions = count()

    def first(self, market: Market, start_ms: int, end_ms: int, limit: int) -> list[Bar]:
        """Return the first `limit` bars that open in [start, end], ascending; holes are jumped over."""
        start = max(start_ms, self.listings[market.symbol].first_ms) // market.step_ms * market.step_ms
        start += market.step_ms if start < start_ms else 0
        end, found = min(end_ms, self._clock.now_ms()) + 1, list[Bar]()
        for page in range(start, end, limit * market.step_ms):
            found += self._bars(market, page, min(page + limit * market.step_ms, end))
            if len(found) >= limit:
                break
        return self._with_faults_of_answers(market, found[:limit])

    def newest(self, market: Market, end_ms: int, limit: int) -> list[Bar]:
        """Return the last `limit` bars that open up to the end, ascending; holes are jumped over."""
        first = self.listings[market.symbol].first_ms
        end, found = min(end_ms, self._clock.now_ms()) // market.step_ms * market.step_ms + 1, list[Bar]()
        while end > first and len(found) < limit:
            start = max(end - limit * market.step_ms, first)
            found = self._bars(market, start, end) + found
            end = start
        return self._with_faults_of_answers(market, found[-limit:])

    def closed(self, market: Market, start_ms: int, end_ms: int) -> list[Bar]:
        """Return the bars of a span that are closed, as an archive holds them."""
        now = self._clock.now_ms()
        return [bar for bar in self._bars(market, start_ms, end_ms) if bar.open_ms + market.step_ms <= now]

    def _bars(self, market: Market, start_ms: int, end_ms: int) -> list[Bar]:
        """Bars that open in [start, end), the open one among them, with the faults that lie in bars."""
        now, step = self._clock.now_ms(), market.step_ms
        first, last = start_ms // step * step, -(-end_ms // step) * step
        minutes = self.listings[market.symbol].minutes(first, min(last, now // MINUTE_MS * MINUTE_MS))
        if first <= now < last:
            minutes = concatenate([minutes, self._running_minute(market.symbol, now)])
        whole = minutes if market.timeframe == "1m" else resample(minutes, market.timeframe)
        return self._with_faults_of_bars(market, _bars_of(whole.between(start_ms, end_ms)))

    def _running_minute(self, symbol: str, now_ms: int) -> Candles:
        """The open minute: part of its volume and a close between its low and high, another one at every question."""
        opened = now_ms // MINUTE_MS * MINUTE_MS
        whole = self.listings[symbol].minutes(opened, opened + MINUTE_MS)
        share = (next(self._questions) % _OPEN_STEPS + 1) / (_OPEN_STEPS + 1)
        close = whole.low + np.rint((whole.high - whole.low) * share).astype(np.int64)
        return replace(
            whole,
            high=np.maximum(whole.open, close),
            low=np.minimum(whole.open, close),
            close=close,
            volume=whole.volume * share,
        )

    def _with_faults_of_bars(self, market: Market, bars: list[Bar]) -> list[Bar]:
        """Holes and changed values: every question gets the same."""
        tick = 1.0 / self.listings[market.symbol].price_scale
        for fault in self._faults.of_bars(Kind.GAP, market.symbol):
            bars = [bar for bar in bars if not _is_within(bar, fault)]
        for kind in (Kind.ZERO_VOLUME, Kind.RESTATED, Kind.SHORT_CLOSE):
            for fault in self._faults.of_bars(kind, market.symbol):
                bars = [_changed(bar, fault, tick) if _is_within(bar, fault) else bar for bar in bars]
        return bars

    def _with_faults_of_answers(self, market: Market, bars: list[Bar]) -> list[Bar]:
        """What one answer gets wrong: the newest closed bar is not there yet, or a bar is given twice."""
        newest_closed = (self._clock.now_ms() // market.step_ms - 1) * market.step_ms
        if bars and bars[-1].open_ms >= newest_closed and self._faults.hit(Kind.LATE, market.symbol):
            bars = [bar for bar in bars if bar.open_ms < newest_closed]
        if bars and self._faults.hit(Kind.DUPLICATE, market.symbol):
            bars = [*bars, bars[-1]]
        return bars


def _is_within(bar: Bar, fault: Fault) -> bool:
    return fault.start_ms <= bar.open_ms < fault.end_ms


def _changed(bar: Bar, fault: Fault, tick: float) -> Bar:
    if fault.kind == Kind.ZERO_VOLUME:
        return replace(bar, high=bar.open, low=bar.open, close=bar.open, volume=0.0)
    if fault.kind == Kind.SHORT_CLOSE:
        return replace(bar, close_ms=min(bar.close_ms, bar.open_ms + _SHORT_CLOSE_MS))
    return replace(bar, high=bar.high + tick, low=bar.low - tick, volume=bar.volume * fault.factor)


def _bars_of(candles: Candles) -> list[Bar]:
    """Candles as bars in units of the quote currency."""
    step = candles.market.step_ms
    prices = np.array([candles.open, candles.high, candles.low, candles.close]) / candles.price_scale
    rows = zip(candles.open_time_ms.tolist(), prices.T.tolist(), candles.volume.tolist(), strict=True)
    return [
        Bar(opened, opened + step - 1, first, high, low, last, volume)
        for opened, (first, high, low, last), volume in rows
    ]
