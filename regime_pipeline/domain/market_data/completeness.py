"""Whether an hour of candles is complete, confirmed to have gaps, or not fetched yet: the arithmetic of covered spans.

Gaps are never filled, here or elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.sorted_times import is_in
from regime_pipeline.domain.market_data.window import Int64, Window, bars_closing_in, hour_of_close
from regime_pipeline.domain.schema import HOUR_STATUSES

Spans = tuple[tuple[int, int], ...]
"""Half-open spans of open time, epoch milliseconds UTC."""
COMPLETE: Final = HOUR_STATUSES.index("complete")
EXCHANGE_GAP: Final = HOUR_STATUSES.index("exchange_gap")
MISSING: Final = HOUR_STATUSES.index("missing")


def merge_spans(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return the union of spans as ascending, disjoint, non-empty spans; touching ones are joined."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def clip_spans(spans: Spans, start_ms: int, end_ms: int) -> Spans:
    """Return what of the spans lies in [start_ms, end_ms)."""
    return merge_spans((max(start, start_ms), min(end, end_ms)) for start, end in spans)


def is_covered(open_time_ms: Int64, covered: Spans) -> NDArray[np.bool_]:
    """Return, for each open time, whether it lies in one of the merged spans; bool, same shape."""
    if not covered:
        return np.zeros(open_time_ms.shape, dtype=np.bool_)
    edges = np.array(covered, dtype=np.int64).ravel()
    return np.asarray(np.searchsorted(edges, open_time_ms, side="right") % 2 == 1)


def runs_of(open_time_ms: Int64, chosen: NDArray[np.bool_], step_ms: int) -> Spans:
    """Return the chosen bars of an unbroken series as merged spans of open time.

    Parameters
    ----------
    open_time_ms : ndarray of int64, shape (n,)
        Consecutive open times, `step_ms` apart.
    chosen : ndarray of bool, shape (n,)
        Which of them.
    step_ms : int
        Length of a bar in milliseconds.
    """
    flags = np.concatenate(([False], chosen, [False])).astype(np.int8)
    change = np.diff(flags)
    starts, ends = open_time_ms[np.flatnonzero(change == 1)], open_time_ms[np.flatnonzero(change == -1) - 1] + step_ms
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


def absent_bars(market: Market, start_ms: int, end_ms: int, candles: Candles) -> tuple[Int64, NDArray[np.bool_]]:
    """Return every open time of the market in [start_ms, end_ms) and whether no candle has it."""
    step = market.step_ms
    times = np.arange(-(-start_ms // step) * step, end_ms, step, dtype=np.int64)
    return times, ~is_in(times, candles.open_time_ms)


def hour_statuses(market: Market, window: Window, candles: Candles, covered: Spans) -> dict[str, NDArray[Any]]:
    """Return the completeness of each hour of a window.

    Parameters
    ----------
    market : Market
        Symbol and timeframe; above one hour an hour in which no bar closes expects none and is complete.
    window : Window
        Whole hours.
    candles : Candles
        The candles known; those that close outside the window are ignored.
    covered : tuple of (start_ms, end_ms)
        Merged spans of open time in which absence is confirmed by the source.

    Returns
    -------
    dict of ndarray, each of shape (len(window),)
        `hour_start` int64 epoch milliseconds; `expected` and `present` int32 bars; `status` int8, a code into
        `schema.HOUR_STATUSES`: complete (nothing absent), exchange_gap (every absence confirmed), missing (else).
    """
    bars = bars_closing_in(market, window)
    row = (hour_of_close(market, bars) - window.start_ms) // HOUR_MS
    is_present = is_in(bars, candles.open_time_ms)
    is_unknown = ~is_present & ~is_covered(bars, covered)
    count = len(window)
    expected = np.bincount(row, minlength=count)
    present = np.bincount(row[is_present], minlength=count)
    unknown = np.bincount(row[is_unknown], minlength=count)
    status = np.where(present == expected, COMPLETE, np.where(unknown == 0, EXCHANGE_GAP, MISSING))
    return {
        "hour_start": window.hours,
        "expected": expected.astype(np.int32),
        "present": present.astype(np.int32),
        "status": status.astype(np.int8),
    }


def confirmed_spans(market: Market, hour_start_ms: Int64, status: NDArray[np.int8]) -> Spans:
    """Return the spans of open time that stored hours cover: the inverse of `hour_statuses`.

    An hour covers the bars that close in it, unless its status is missing.
    """
    first = hour_start_ms[status != MISSING] + HOUR_MS - market.observation_ms
    return merge_spans((start, start + HOUR_MS) for start in first.tolist())
