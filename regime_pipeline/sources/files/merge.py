"""Several files of one market as one series: repetitions counted and dropped, contradictions refused.

See `reader` for reading one file, `services.imports` for writing the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.completeness import Spans, clip_spans, merge_spans
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64, to_iso
from regime_pipeline.sources.files.checks import VALUES, FileRows
from regime_pipeline.sources.files.scale import FLOAT32_NOISE, FLOAT_NOISE, check_scale, infer_scale
from regime_pipeline.sources.files.table import BadFileError


@dataclass(frozen=True, eq=False)
class Merged:
    """One series out of several parts.

    Parameters
    ----------
    candles : Candles
        Oldest first, each open time once, all closed.
    covered : tuple of (start_ms, end_ms)
        Merged spans of open time in which an absent bar does not exist.
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
        Ticks per unit of quote currency; 0 for the smallest power of ten that holds every price up to float noise.

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
    is_open = _unfinished(parts, part, times, market, now_ms)
    is_kept = ~is_repeated & ~is_open
    prices = values[:4, is_kept]
    scale = _scale_of(parts, prices if prices.size else values[:4], price_scale)
    covered = merge_spans(span for p in parts for span in p.covered)
    return Merged(
        Candles.from_prices(market, scale, times[is_kept], list(prices), values[4, is_kept]),
        clip_spans(covered, covered[0][0], now_ms // market.step_ms * market.step_ms),
        np.bincount(part[is_repeated], minlength=len(parts)),
        np.bincount(part[is_open & ~is_repeated], minlength=len(parts)),
    )


def find_gaps(market: Market, candles: Candles, covered: Spans) -> tuple[tuple[int, int], ...]:
    """Return the confirmed gaps as (open time of the first absent bar in epoch ms, absent bars), oldest first."""
    step, gaps = market.step_ms, []
    for start_ms, end_ms in covered:
        first = -(-start_ms // step) * step
        inside = candles.between(first, end_ms).open_time_ms
        edges = np.concatenate(([first - step], inside, [-(-end_ms // step) * step]))
        absent = np.diff(edges) // step - 1
        holes = np.flatnonzero(absent > 0)
        gaps += list(zip((edges[holes] + step).tolist(), absent[holes].tolist(), strict=True))
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
    is_short = any((part.values.astype(np.float32) == part.values).all() for part in parts)
    noise = (2 * FLOAT32_NOISE if is_short else FLOAT_NOISE) * np.abs(values[:, 1:])
    differs[1:] = (np.abs(values[:, 1:] - values[:, :-1]) > noise).any(axis=0)
    conflict = is_repeated & differs
    if conflict.any():
        at = int(np.argmax(conflict))
        first, second = (parts[part[i]].table.where(int(row[i])) for i in (at - 1, at))
        names = [name for name, a, b in zip(VALUES, values[:, at - 1], values[:, at], strict=True) if a != b]
        signs = " ".join(note for p in parts for note in p.notes if note.startswith("Warning"))
        raise BadFileError(
            f"{first} and {second} give the bar {to_iso(int(times[at]))} different values ({', '.join(names)}).",
            signs or "Remove the wrong one; import files one after the other if the later one is a restatement.",
        )


def _scale_of(parts: Sequence[FileRows], prices: Float64, given: int) -> int:
    """Return the scale to use: the given one, if it holds the prices, or the smallest that does."""
    try:
        if given:
            check_scale(prices, given)
        return given or infer_scale(prices)
    except UsageError as error:
        raise BadFileError(f"{parts[0].table.place}: {error.what}", error.todo) from error


def _unfinished(
    parts: Sequence[FileRows], part: NDArray[np.intp], times: Int64, market: Market, now_ms: int
) -> NDArray[np.bool_]:
    """Mask of the bars that were not closed, now or when their file was written in the middle of its last bar."""
    closes = times + market.step_ms
    is_open = closes > now_ms
    for number, each in enumerate(parts):
        last = int(each.open_time_ms.max())
        if each.written_ms is not None and last <= each.written_ms < last + market.step_ms:
            is_open |= (part == number) & (closes > each.written_ms)
    return np.asarray(is_open)
