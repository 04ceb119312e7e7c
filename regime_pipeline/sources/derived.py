"""Sources made of other sources: a market that no longer trades, and bars resampled from shorter ones.

Any source can be wrapped.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import (
    Spans,
    absent_bars,
    clip_spans,
    is_covered,
    merge_spans,
    runs_of,
)
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.resample import resample_complete
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.sources.base import CandleSource, Fetched


class ResampledSource:
    """Bars of any longer timeframe, resampled from one base timeframe.

    Parameters
    ----------
    base : CandleSource
        Source of the shorter bars.
    base_timeframe : str
        Their timeframe, at most one hour.

    Notes
    -----
    A bar exists if all its own base bars do. Its absence is confirmed where the base confirms the absence of each of
    its own bars that lacks; elsewhere it is missing.
    """

    def __init__(self, base: CandleSource, base_timeframe: str = "1m") -> None:
        self._base = base
        self._timeframe = base_timeframe

    @property
    def venue(self) -> str:
        """The base's venue: the prices are its own."""
        return self._base.venue

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the resampled bars whose open time lies in [start_ms, end_ms)."""
        step = market.step_ms
        first, last = -(-start_ms // step) * step, -(-end_ms // step) * step
        window = Window(first // HOUR_MS * HOUR_MS, -(-max(first, last) // HOUR_MS) * HOUR_MS)
        fetched = self._base.fetch(market.on(self._timeframe), window.start_ms, window.end_ms)
        bars = resample_complete(fetched.candles, market.timeframe).between(first, last)
        return Fetched(bars, clip_spans(_confirmed(market, first, last, fetched), start_ms, end_ms), fetched.failure)

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close of the newest bar whose hours can be complete, epoch milliseconds UTC."""
        newest = self._base.newest_closed_ms(market.on(self._timeframe))
        return None if newest is None else newest // market.observation_ms * market.observation_ms


def _confirmed(market: Market, start_ms: int, end_ms: int, base: Fetched) -> Spans:
    """Spans of the bars of [start, end) of which no base bar is unknown: each is there, or confirmed to be absent."""
    minutes, is_absent = absent_bars(base.candles.market, start_ms, end_ms, base.candles)
    is_known = ~(is_absent & ~is_covered(minutes, base.covered))
    times = np.arange(start_ms, end_ms, market.step_ms, dtype=np.int64)
    own = is_known.reshape(len(times), market.step_ms // base.candles.market.step_ms)
    return runs_of(times, np.asarray(own.all(axis=1)), market.step_ms)


class EndedSource:
    """A source with an end.

    Parameters
    ----------
    source : CandleSource
        Asked for what opens before the end.
    until_ms : int
        When trading ended, epoch milliseconds UTC.
    empty : Candles
        No candles, of the market.
    """

    def __init__(self, source: CandleSource, until_ms: int, empty: Candles) -> None:
        self._source = source
        self._until_ms = until_ms
        self._empty = empty

    @property
    def venue(self) -> str:
        """Name of the source's venue."""
        return self._source.venue

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the candles that open in [start, end) before the end, and confirm that there are none after it."""
        end = min(end_ms, self._until_ms)
        answer = self._source.fetch(market, start_ms, end) if start_ms < end else Fetched(self._empty, ())
        after = (max(start_ms, self._until_ms), end_ms)
        spans = (*answer.covered, after) if after[0] < after[1] else answer.covered
        return Fetched(answer.candles, merge_spans(spans), answer.failure)

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the source's newest closed bar, or of the last one before the end."""
        newest = self._source.newest_closed_ms(market)
        return None if newest is None else min(newest, self._until_ms // market.step_ms * market.step_ms)
