"""A source that builds longer bars from another source's shorter ones, out of complete hours alone.

The arithmetic stands in `domain.resample`; where the shorter bars come from is the base source's affair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.completeness import MISSING, Spans, clip_spans, hour_statuses, runs_of
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.resample import resample_complete
from regime_pipeline.domain.window import Int64, Window
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
    A bar exists only if every UTC hour it touches is complete in the base. Its absence is confirmed where the base
    confirms every absence in those hours; elsewhere it is missing.
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
