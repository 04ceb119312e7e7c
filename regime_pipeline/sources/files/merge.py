"""Several files of one market as one series: repetitions counted and dropped, contradictions refused.

Reading one file stands in `reader`; writing the series does not belong here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import MAX_TICKS, Candles, Float64
from regime_pipeline.domain.market_data.completeness import Spans, absent_bars, clip_spans, merge_spans, runs_of
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64, to_iso
from regime_pipeline.sources.files.checks import VALUES, FileRows
from regime_pipeline.sources.files.table import BadFileError

MAX_PRICE_SCALE = 10**10


@dataclass(frozen=True, eq=False)
class Merged:
    """One series out of several parts.

    Parameters
    ----------
    candles : Candles
        Oldest first, each open time once, all closed.
    covered : tuple of (start_ms, end_ms)
        Merged spans of open time for whose absences the files vouch.
    duplicates : ndarray of int64, shape (parts,)
        Exact repetitions dropped from each part; a bar in two files counts for the later one.
    still_open : ndarray of int64, shape (parts,)
        Bars of each part that were not closed yet and were left out.
    """

    candles: Candles
    covered: Spans
    duplicates: Int64
    still_open: Int64


def merge_rows(parts: Sequence[FileRows], market: Market, now_ms: int, price_scale: int = 0) -> Merged:
    """Join the parts of one market.

    Parameters
    ----------
    parts : sequence of FileRows
        At least one.
    market : Market
        Their market.
    now_ms : int
        Epoch milliseconds UTC; bars that close later are left out.
    price_scale : int
        Ticks per unit of quote currency; 0 for the smallest power of ten that holds every price exactly.

    Raises
    ------
    BadFileError
        Two rows give different values for one bar (both places are named), or no scale holds the prices.
    """
    part = np.repeat(np.arange(len(parts)), [len(p.row) for p in parts])
    times = np.concatenate([p.open_time_ms for p in parts])
    values = np.concatenate([p.values for p in parts], axis=1)
    order = np.argsort(times, kind="stable")
    part, times, values = part[order], times[order], values[:, order]
    row = np.concatenate([p.row for p in parts])[order]
    is_repeated = np.concatenate(([False], np.diff(times) == 0))
    _refuse_conflict(parts, part, row, times, values, is_repeated)
    is_open = times + market.step_ms > now_ms
    is_kept = ~is_repeated & ~is_open
    scale = price_scale or _infer_scale(parts, part, row, values[:4])
    prices = values[:4, is_kept]
    covered = merge_spans(span for p in parts for span in p.covered)
    return Merged(
        Candles.from_prices(market, scale, times[is_kept], list(prices), values[4, is_kept]),
        clip_spans(covered, covered[0][0], now_ms // market.step_ms * market.step_ms),
        np.bincount(part[is_repeated], minlength=len(parts)),
        np.bincount(part[is_open & ~is_repeated], minlength=len(parts)),
    )


def find_gaps(market: Market, candles: Candles, covered: Spans) -> tuple[tuple[int, int], ...]:
    """Return the confirmed gaps as (open time of the first absent bar in epoch ms, absent bars), oldest first."""
    gaps: list[tuple[int, int]] = []
    for start_ms, end_ms in covered:
        times, is_absent = absent_bars(market, start_ms, end_ms, candles)
        gaps += [(start, (end - start) // market.step_ms) for start, end in runs_of(times, is_absent, market.step_ms)]
    return tuple(gaps)


def _refuse_conflict(
    parts: Sequence[FileRows],
    part: NDArray[np.intp],
    row: Int64,
    times: Int64,
    values: Float64,
    is_repeated: NDArray[np.bool_],
) -> None:
    """Raise if a repeated bar differs from the one before it."""
    differs = np.zeros(len(times), dtype=np.bool_)
    differs[1:] = (values[:, 1:] != values[:, :-1]).any(axis=0)
    conflict = is_repeated & differs
    if conflict.any():
        at = int(np.argmax(conflict))
        first, second = (parts[part[i]].table.where(int(row[i])) for i in (at - 1, at))
        names = [name for name, a, b in zip(VALUES, values[:, at - 1], values[:, at], strict=True) if a != b]
        raise BadFileError(
            f"{first} and {second} give the bar {to_iso(int(times[at]))} different values ({', '.join(names)}).",
            "Remove the wrong one; import files one after the other if the later one is a restatement.",
        )


def _infer_scale(parts: Sequence[FileRows], part: NDArray[np.intp], row: Int64, prices: Float64) -> int:
    """Return the smallest power of ten that turns every price into whole ticks."""
    scale = 1
    while (is_broken := np.rint(prices * scale) / scale != prices).any():
        if scale == MAX_PRICE_SCALE:
            at = int(np.argmax(is_broken.any(axis=0)))
            where = parts[part[at]].table.where(int(row[at]))
            raise BadFileError(
                f"{where}: a price has more than ten decimals.", "Round them with --price-scale, e.g. 100000000."
            )
        scale *= 10
    if float(prices.max()) * scale > MAX_TICKS:
        raise BadFileError(
            f"Prices up to {prices.max()} with ticks of 1/{scale} are too fine.", "Round them with --price-scale."
        )
    return scale
