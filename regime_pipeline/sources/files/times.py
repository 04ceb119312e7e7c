"""Times of files as epoch milliseconds UTC: seconds to nanoseconds by their size, ISO-8601 by its offset.

A time without an offset is refused unless the user says that it is UTC.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.sources.files.table import FileTable

_SECONDS_BELOW: Final = 10**11
_MILLISECONDS_BELOW: Final = 10**14
_MICROSECONDS_BELOW: Final = 10**17
_LATEST_MS: Final = 4_102_444_800_000
NAIVE_HINT: Final = "If they are UTC, say so with --timezone UTC; otherwise convert them first."


def read_times(table: FileTable, timezone: str, midnight_ms: int | None = None) -> Int64:
    """Return the open times of a table.

    Parameters
    ----------
    table : FileTable
        Its `time` column holds integers (or integral floats), or ISO-8601 texts.
    timezone : str
        `UTC` to read texts without an offset as UTC; empty to refuse them.
    midnight_ms : int, optional
        Numbers are milliseconds after this moment (LEAN).

    Returns
    -------
    ndarray of int64, shape (n,)
        Epoch milliseconds UTC.

    Raises
    ------
    BadFileError
        A time is unreadable, has no offset, is finer than a millisecond, or not between 1970 and 2100.
    """
    values = table.columns["time"]
    numbers = _as_integers(values)
    if numbers is None:
        times = np.array([_from_text(table, row, timezone) for row in range(len(values))], dtype=np.int64)
    else:
        _refuse_outside(table, numbers, np.iinfo(np.int64).max)
        times = numbers + midnight_ms if midnight_ms is not None else _to_milliseconds(table, numbers)
    _refuse_outside(table, times, _LATEST_MS)
    return times


def _refuse_outside(table: FileTable, numbers: Int64, largest: int) -> None:
    """Refuse numbers that mean no time between 1970 and 2100; negative ones could even wrap around to look sound."""
    is_outside = (numbers < 0) | (numbers > largest)
    if is_outside.any():
        row = int(np.argmax(is_outside))
        text = table.columns["time"][row]
        raise table.refuse(row, f"the time '{text}' is not between 1970 and 2100", "Export the open times of the bars.")


def _as_integers(values: Any) -> Int64 | None:
    """Return the values as integers, or None if one is not."""
    if not any(isinstance(value, float) for value in values):
        with suppress(ValueError, TypeError, OverflowError):
            return np.fromiter(map(int, values), np.int64, len(values))
    try:
        floats = np.fromiter(map(float, values), np.float64, len(values))
    except (ValueError, TypeError):
        return None
    is_integral = np.isfinite(floats).all() and (floats == np.rint(floats)).all() and (abs(floats) < 2**62).all()
    return floats.astype(np.int64) if is_integral else None


def _to_milliseconds(table: FileTable, numbers: Int64) -> Int64:
    """Scale each number by the unit its size tells."""
    divisor = np.select([numbers < _MILLISECONDS_BELOW, numbers < _MICROSECONDS_BELOW], [1, 1_000], 1_000_000)
    factor = np.where(numbers < _SECONDS_BELOW, 1_000, 1)
    rest = numbers % divisor
    if rest.any():
        raise table.refuse(
            int(np.argmax(rest != 0)), "the time is finer than a millisecond", "Export the open times of the bars."
        )
    return np.asarray(numbers // divisor * factor, dtype=np.int64)


def _from_text(table: FileTable, row: int, timezone: str) -> int:
    text = table.columns["time"][row]
    try:
        moment = datetime.fromisoformat(str(text).strip())
    except ValueError as error:
        raise table.refuse(
            row, f"'{text}' is not a time", "Write epoch milliseconds or ISO-8601 with offset."
        ) from error
    if moment.tzinfo is None:
        if not timezone:
            raise table.refuse(row, f"the time '{text}' has no offset", NAIVE_HINT)
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
