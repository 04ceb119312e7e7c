"""Candles out of a file's rows: every rule checked, the first offence named by file and line.

See `numbers` and `times` for reading a cell, `merge` for comparing files with each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.completeness import Spans
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import Int64, to_iso
from regime_pipeline.sources.files.layouts import FIELDS, ORDERS, ReadOptions
from regime_pipeline.sources.files.local_time import local_time_signs
from regime_pipeline.sources.files.names import Promise
from regime_pipeline.sources.files.numbers import REPAIR, read_numbers, refuse_thousands_points
from regime_pipeline.sources.files.table import FileTable
from regime_pipeline.sources.files.times import read_times

VALUES: Final = FIELDS[1:]
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
        Spans of open time in which an absent bar does not exist.
    unaligned : int
        Rows left out because they open between two bars.
    is_turned : bool
        The file lists the newest candle first.
    written_ms : int or None
        When the file was written, epoch milliseconds; None if unknown. A bar that was open then is not finished.
    notes : tuple of str
        Decisions and warnings, one sentence each.
    dropped : dict of str to int
        Rows left out while reading, by kind.
    """

    table: FileTable
    row: Int64
    open_time_ms: Int64
    values: Float64
    covered: Spans
    unaligned: int
    is_turned: bool = False
    written_ms: int | None = None
    notes: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)


def check_rows(
    table: FileTable, market: Market, options: ReadOptions, promise: Promise | None, written_ms: int | None = None
) -> FileRows:
    """Return the candles of a table.

    Raises
    ------
    BadFileError
        A value is not a number, a time is naive, unaligned, out of order or outside the span of the file's name, prices
        contradict each other, volume is negative or a price, or the bars are of another length than the market's.
    """
    times, is_naive = read_times(table, options, promise.span[0] if promise and promise.is_lean else None)
    if options.stamps == "close":
        times = (times + 999) // 1_000 * 1_000 - market.step_ms  # a close may be stamped 1 ms before the next open
    refuse_thousands_points(table, options)
    values = np.array([_volume(table, options, name, len(times)) for name in VALUES])
    row = np.arange(len(times), dtype=np.int64)
    is_turned = len(times) > 1 and bool(times[0] > times[-1])
    row = row[::-1] if is_turned else row
    notes = local_time_signs(times[row], market.step_ms) if is_naive else ()
    rows = FileRows(table, row, times[row], values[:, row], (), 0, is_turned, written_ms, notes)
    _check_values(rows)
    rows = _drop_repeated(rows)
    _check_steps(rows, market)
    rows = _drop_unaligned(rows, market) if options.is_dropping_unaligned else rows
    _check_times(rows, market, promise)
    covered = (promise.span,) if promise else _covered_spans(rows.open_time_ms, market)
    return replace(rows, covered=covered, notes=(*table.grid.notes, *rows.notes), dropped=dict(table.grid.dropped))


def _volume(table: FileTable, options: ReadOptions, name: str, rows: int) -> Float64:
    """Return a column as numbers; a volume that the user does without is 0."""
    return np.zeros(rows) if name not in table.columns else read_numbers(table, name, options)


def _drop_repeated(rows: FileRows) -> FileRows:
    """Move rows that repeat an earlier one, wherever they stand, beside it, where they are counted as duplicates."""
    steps = np.diff(rows.open_time_ms)
    if len(steps) == 0 or (steps >= 0).all():
        return rows
    newest = np.maximum.accumulate(rows.open_time_ms)
    is_late = np.concatenate(([False], rows.open_time_ms[1:] < newest[:-1]))
    first = {int(t): at for at, t in reversed(list(enumerate(rows.open_time_ms.tolist())))}
    for at in np.flatnonzero(is_late).tolist():
        earlier = first[int(rows.open_time_ms[at])]
        if earlier == at or (rows.values[:, earlier] != rows.values[:, at]).any():
            return rows  # out of order, which is refused with its line
    order = np.argsort(rows.open_time_ms, kind="stable")
    return replace(rows, row=rows.row[order], open_time_ms=rows.open_time_ms[order], values=rows.values[:, order])


def _drop_unaligned(rows: FileRows, market: Market) -> FileRows:
    """Return the rows that open on a multiple of the timeframe."""
    kept = rows.open_time_ms % market.step_ms == 0
    if not kept.any():
        raise rows.table.refuse(0, f"no row opens on a multiple of {market.timeframe}", _timeframe(rows, market))
    dropped = int((~kept).sum())
    return replace(
        rows,
        row=rows.row[kept],
        open_time_ms=rows.open_time_ms[kept],
        values=rows.values[:, kept],
        unaligned=dropped,
    )


def _covered_spans(times: Int64, market: Market) -> Spans:
    """Spans from the first to the last bar, cut at holes too long for an outage."""
    cuts = np.flatnonzero(np.diff(times) > LONGEST_OUTAGE_MS)
    starts, ends = times[np.append(0, cuts + 1)], times[np.append(cuts, len(times) - 1)] + market.step_ms
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


def _check_values(rows: FileRows) -> None:
    opens, highs, lows, closes, volume = rows.values
    order = _order_hint(rows)
    broken = [
        ("a value is not a finite number", ~np.isfinite(rows.values.T).all(axis=1), REPAIR),
        ("a price is zero or negative", (rows.values[:4].T <= 0).any(axis=1), REPAIR),
        ("high is below another price", highs < np.maximum(np.maximum(opens, closes), lows), order),
        ("low is above another price", lows > np.minimum(opens, closes), order),
        ("volume is negative", volume < 0, REPAIR),
    ]
    _refuse_first(rows, broken)
    is_price = len(volume) >= _ENOUGH_ROWS and bool(((volume >= lows) & (volume <= highs)).all())
    if is_price and (lows < highs).any() and np.ptp(volume) > 0:
        name = rows.table.names.get("volume", "volume")
        raise rows.table.refuse(
            int(rows.row[0]),
            f"the volume lies between low and high in every row, so {name} is a price",
            "Choose the volume's column with --volume NAME, or " + order[0].lower() + order[1:],
        )


def _order_hint(rows: FileRows) -> str:
    """Return a remedy for columns in another order: the known order that fits every row, if there is one."""
    grid, names = rows.table.grid, rows.table.grid.names
    if names:
        return f"Correct the file; its header names the columns {', '.join(map(str, names))}."
    for order in ORDERS:
        if len(order) == len(grid.columns) and _is_fitting(grid.columns, order):
            return f"Name the columns in order: --columns {','.join(order)}."
    return "Name the columns in order with --columns, e.g. --layout kucoin for time,open,close,high,low,volume."


def _is_fitting(columns: list[Any], order: tuple[str, ...]) -> bool:
    """Return whether every row is a candle in this order."""
    try:
        opens, highs, lows, closes, volume = (
            np.fromiter(map(float, columns[order.index(name)]), np.float64) for name in VALUES
        )
    except (TypeError, ValueError, OverflowError):
        return False
    is_inside = (highs >= np.maximum(opens, closes)) & (lows <= np.minimum(opens, closes)) & (lows > 0)
    is_price = (volume >= lows) & (volume <= highs)
    return bool(is_inside.all() and not is_price.all())


def _check_steps(rows: FileRows, market: Market) -> None:
    """Refuse bars of another length than the market's."""
    steps = np.diff(rows.open_time_ms)
    if (steps == market.step_ms).all():
        return
    positive = steps[steps > 0]
    if len(rows.open_time_ms) < _ENOUGH_ROWS or not len(positive):
        return
    typical, shortest = int(np.median(positive)), int(positive.min())
    if typical < market.step_ms:
        reason = f"the bars are {_length(typical)} apart, so these are not {market.timeframe} bars"
        raise rows.table.refuse(int(rows.row[0]), reason, _timeframe(rows, market))
    if shortest > market.step_ms:
        raise rows.table.refuse(
            int(rows.row[0]),
            f"no two bars are {market.timeframe} apart, the closest are {_length(shortest)} apart",
            _timeframe(rows, market),
        )


def _timeframe(rows: FileRows, market: Market) -> str:
    """Return the market to name for bars of another length."""
    steps = np.diff(rows.open_time_ms)
    steps = steps[steps > 0]
    typical = int(np.median(steps)) if len(steps) else market.step_ms
    names = {minutes * 60_000: name for name, minutes in TIMEFRAME_MINUTES.items()}
    if typical not in names:
        return f"Markets are on {', '.join(TIMEFRAME_MINUTES)}; make bars of one of them first."
    resample = f" --resample {market.timeframe}" if names[typical] == "1m" and market.timeframe != "1m" else ""
    return f"Name the timeframe of the file: --market {market.symbol}_{names[typical]}{resample}."


def _check_times(rows: FileRows, market: Market, promise: Promise | None) -> None:
    times = rows.open_time_ms
    earlier = np.concatenate(([False], np.diff(times) < 0))
    start, end = promise.span if promise else (int(times.min()), int(times.max()) + 1)
    broken = [
        ("out of order: it is earlier than the row before it", earlier, "Sort the file by time, oldest first."),
        _unaligned(rows, market),
        (
            f"the bar is outside the span that the file's name promises, {to_iso(start)} to {to_iso(end)}",
            (times < start) | (times >= end),
            "Restore the file's name.",
        ),
    ]
    _refuse_first(rows, broken)


def _unaligned(rows: FileRows, market: Market) -> tuple[str, Any, str]:
    """Return the rule of open times; bars that all begin where one ends are stamped with their close."""
    step = market.step_ms
    is_off = rows.open_time_ms % step != 0
    if bool((rows.open_time_ms % step >= step - 1_000).all()):
        reason = f"every time is the end of a {market.timeframe} bar"
        return reason, is_off, "Say --stamps close; the open time is taken from it."
    todo = f"Leave out bars that an outage shifted with --drop-unaligned. {_timeframe(rows, market)}"
    return f"the open time is not a multiple of {market.timeframe}", is_off, todo


def _length(step_ms: int) -> str:
    names = {minutes * 60_000: name for name, minutes in TIMEFRAME_MINUTES.items()}
    return names.get(step_ms, f"{step_ms // 60_000} minutes" if step_ms >= 60_000 else f"{step_ms / 1000:g} seconds")


def _refuse_first(rows: FileRows, broken: list[tuple[str, Any, str]]) -> None:
    """Raise for the first rule that any row breaks, naming the first such row."""
    for reason, mask, todo in broken:
        if mask.any():
            at = int(np.argmax(mask))
            raise rows.table.refuse(int(rows.row[at]), f"{reason} ({_describe(rows, at)})", todo)


def _describe(rows: FileRows, at: int) -> str:
    """Print a row as the file has it."""
    columns = rows.table.columns
    return ", ".join(f"{name} {columns[name][int(rows.row[at])]}" for name in FIELDS if name in columns)
