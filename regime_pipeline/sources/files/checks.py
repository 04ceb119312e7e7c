"""Candles out of a file's rows: every number parsed, every rule checked, the first offence named by file and line.

Comparing files with one another does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.completeness import Spans
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import Int64, to_iso
from regime_pipeline.sources.files.layouts import FIELDS, ReadOptions
from regime_pipeline.sources.files.names import Promise
from regime_pipeline.sources.files.table import FileTable
from regime_pipeline.sources.files.times import read_times

VALUES: Final = FIELDS[1:]
_REPAIR: Final = "Fetch or export the file again, or remove the row."
_TIMEFRAME: Final = "Name the market with the timeframe of the file."
_ENOUGH_ROWS: Final = 3
LONGEST_OUTAGE_MS: Final = 72 * HOUR_MS
"""A longer hole in a file whose name promises nothing is taken for a cut file, not an outage (longest known: 34 h)."""


@dataclass(frozen=True, eq=False)
class FileRows:
    """Sound candles of one file, oldest first; exact repetitions of a time are still there.

    Parameters
    ----------
    table : FileTable
        The rows as read, for error messages.
    row : ndarray of int64, shape (n,)
        Row of the table behind each candle.
    open_time_ms : ndarray of int64, shape (n,)
        Epoch milliseconds UTC, ascending, not strictly.
    values : ndarray of float64, shape (5, n)
        Open, high, low, close and volume.
    covered : tuple of (start_ms, end_ms)
        Spans of open time for whose absences the file vouches.
    unaligned : int
        Rows left out because they open between two bars.
    """

    table: FileTable
    row: Int64
    open_time_ms: Int64
    values: Float64
    covered: Spans
    unaligned: int


def check_rows(table: FileTable, market: Market, options: ReadOptions, promise: Promise | None) -> FileRows:
    """Return the candles of a table.

    Raises
    ------
    BadFileError
        A value is no number, a time is naive, unaligned, out of order or outside the span of the file's name, prices
        contradict one another, volume is negative, or the bars are longer than the market's.
    """
    times = read_times(table, options.timezone, promise.span[0] if promise and promise.is_lean else None)
    values = np.array([_read_numbers(table, field) for field in VALUES])
    row = np.arange(len(times), dtype=np.int64)
    if table.is_newest_first and len(times) > 1 and times[0] > times[-1]:
        row = row[::-1]
    rows = FileRows(table, row, times[row], values[:, row], (), 0)
    _check_values(rows)
    rows = _drop_unaligned(rows, market) if options.is_dropping_unaligned else rows
    _check_times(rows, market, promise)
    covered = (promise.span,) if promise else _vouched_spans(rows.open_time_ms, market)
    return replace(rows, covered=covered)


def _drop_unaligned(rows: FileRows, market: Market) -> FileRows:
    """Return the rows that open on a multiple of the timeframe."""
    kept = rows.open_time_ms % market.step_ms == 0
    if not kept.any():
        raise rows.table.refuse(0, f"no row opens on a multiple of {market.timeframe}", _TIMEFRAME)
    dropped = int((~kept).sum())
    return FileRows(rows.table, rows.row[kept], rows.open_time_ms[kept], rows.values[:, kept], (), dropped)


def _vouched_spans(times: Int64, market: Market) -> Spans:
    """Spans from the first to the last bar, cut at holes too long for an outage."""
    cuts = np.flatnonzero(np.diff(times) > LONGEST_OUTAGE_MS)
    starts, ends = times[np.append(0, cuts + 1)], times[np.append(cuts, len(times) - 1)] + market.step_ms
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


def _read_numbers(table: FileTable, field: str) -> Float64:
    """Return a column as floats."""
    column = table.columns[field]
    try:
        return np.fromiter(map(float, column), np.float64, len(column))
    except (TypeError, ValueError):
        row = next(at for at, value in enumerate(column) if not _is_number(value))
        raise table.refuse(row, f"{field} '{column[row]}' is not a number", _REPAIR) from None


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _check_values(rows: FileRows) -> None:
    opens, highs, lows, closes, volume = rows.values
    order = "Is the order of the columns another one? Try --layout kucoin or --columns."
    broken = [
        ("a value is not a finite number", ~np.isfinite(rows.values.T).all(axis=1), _REPAIR),
        ("a price is zero or negative", (rows.values[:4].T <= 0).any(axis=1), _REPAIR),
        ("high is below another price", highs < np.maximum(np.maximum(opens, closes), lows), order),
        ("low is above another price", lows > np.minimum(opens, closes), order),
        ("volume is negative", volume < 0, _REPAIR),
    ]
    _refuse_first(rows, broken)


def _check_times(rows: FileRows, market: Market, promise: Promise | None) -> None:
    times = rows.open_time_ms
    steps = np.diff(times)
    earlier = np.concatenate(([False], steps < 0))
    start, end = promise.span if promise else (int(times.min()), int(times.max()) + 1)
    broken = [
        (
            "out of order: it is earlier than the row before it",
            earlier,
            "Sort the file by time, oldest first (--layout kucoin also takes newest first).",
        ),
        (
            f"the open time is not a multiple of {market.timeframe}",
            times % market.step_ms != 0,
            f"{_TIMEFRAME} Leave out bars that an outage shifted with --drop-unaligned.",
        ),
        (
            f"the bar is outside the span that the file's name promises, {to_iso(start)} to {to_iso(end)}",
            (times < start) | (times >= end),
            "Restore the file's name.",
        ),
    ]
    _refuse_first(rows, broken)
    positive = steps[steps > 0]
    if len(times) >= _ENOUGH_ROWS and len(positive) and positive.min() > market.step_ms:
        raise rows.table.refuse(
            int(rows.row[0]),
            f"no two bars are {market.timeframe} apart, the closest are {_length(int(positive.min()))} apart",
            _TIMEFRAME,
        )


def _length(step_ms: int) -> str:
    names = {minutes * 60_000: name for name, minutes in TIMEFRAME_MINUTES.items()}
    return names.get(step_ms, f"{step_ms // 60_000} minutes")


def _refuse_first(rows: FileRows, broken: list[tuple[str, Any, str]]) -> None:
    """Raise for the first rule that any row breaks, naming the first such row."""
    for reason, mask, todo in broken:
        if mask.any():
            at = int(np.argmax(mask))
            raise rows.table.refuse(int(rows.row[at]), f"{reason} ({_describe(rows, at)})", todo)


def _describe(rows: FileRows, at: int) -> str:
    """Print a row as the file has it."""
    return ", ".join(f"{field} {rows.table.columns[field][int(rows.row[at])]}" for field in FIELDS)
