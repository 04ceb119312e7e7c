"""Sources made of other sources: a market that no longer trades, and bars resampled from shorter ones.

Any source can be wrapped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import (
    MISSING,
    Spans,
    clip_spans,
    hour_statuses,
    merge_spans,
    runs_of,
)
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.resample import resample_complete
from regime_pipeline.domain.market_data.window import Int64, Window
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
    A bar exists if all its own base bars do. Its absence is confirmed where the base confirms every absence in the
    hours that it touches; elsewhere it is missing.
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
        base_market = market.on(self._timeframe)
        fetched = self._base.fetch(base_market, window.start_ms, window.end_ms)
        bars = resample_complete(fetched.candles, market.timeframe).between(first, last)
        status = hour_statuses(base_market, window, fetched.candles, fetched.covered)["status"]
        times = np.arange(first, last, step, dtype=np.int64)
        return Fetched(bars, clip_spans(_confirmed(market, times, window, status == MISSING), start_ms, end_ms))

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close of the newest bar whose hours can be complete, epoch milliseconds UTC."""
        newest = self._base.newest_closed_ms(market.on(self._timeframe))
        return None if newest is None else newest // market.observation_ms * market.observation_ms


def _confirmed(market: Market, open_time_ms: Int64, window: Window, is_missing: NDArray[np.bool_]) -> Spans:
    """Spans of the bars that touch no missing hour."""
    missing_before = np.concatenate(([0], np.cumsum(is_missing)))
    first_hour = (open_time_ms - window.start_ms) // HOUR_MS
    after_last = -(-(open_time_ms + market.step_ms - window.start_ms) // HOUR_MS)
    return runs_of(open_time_ms, missing_before[after_last] == missing_before[first_hour], market.step_ms)


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
