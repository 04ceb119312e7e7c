"""Spans of UTC time as epoch milliseconds, half open, and the calendar of hours and bars inside them.

Nothing here reads a clock. See `pipeline.partitions` for partition keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market

Int64 = NDArray[np.int64]
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999


def to_ms(moment: datetime | str) -> int:
    """Return epoch milliseconds of an aware time or an ISO-8601 text with offset.

    Raises
    ------
    UsageError
        The text is not ISO-8601, the time has no offset, or it lies outside the years 1 to 9999 of UTC.
    """
    try:
        parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError as error:
        raise UsageError(f"'{moment}' is not a time.", "Write ISO-8601, for example 2020-03-12T00:00:00Z.") from error
    if parsed.tzinfo is None:
        raise UsageError(f"The time '{moment}' has no offset.", "Add one, for example a trailing Z for UTC.")
    ms = round(parsed.timestamp() * 1000)
    if not _FIRST_MS <= ms <= _LAST_MS:
        raise UsageError(f"The time '{moment}' is in no year of UTC from 1 to 9999.")
    return ms


def to_iso(ms: int) -> str:
    """Print epoch milliseconds as ISO-8601 in UTC, `2020-03-12T10:00:00Z` (milliseconds only where there are any)."""
    moment = datetime.fromtimestamp(ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open span [start_ms, end_ms) of whole UTC hours, in epoch milliseconds."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        """Refuse a span that is not a span of whole hours."""
        if self.start_ms % HOUR_MS or self.end_ms % HOUR_MS or self.end_ms < self.start_ms:
            raise UsageError(f"{to_iso(self.start_ms)} to {to_iso(self.end_ms)} is not a span of whole hours.")

    @classmethod
    def hour(cls, start_ms: int) -> Window:
        """Return the window of one hour."""
        return cls(start_ms, start_ms + HOUR_MS)

    @property
    def hours(self) -> Int64:
        """Starts of the hours inside, int64 epoch milliseconds, ascending."""
        return np.arange(self.start_ms, self.end_ms, HOUR_MS, dtype=np.int64)

    def __len__(self) -> int:
        return (self.end_ms - self.start_ms) // HOUR_MS

    def __str__(self) -> str:
        return f"{to_iso(self.start_ms)} to {to_iso(self.end_ms)}"


def bars_closing_in(market: Market, window: Window) -> Int64:
    """Open times of the bars that close in (start, end] of the window.

    Returns
    -------
    ndarray of int64, shape (n,)
        Epoch milliseconds, ascending, multiples of the bar length.
    """
    step = market.step_ms
    first = window.start_ms // step * step
    last_close = window.end_ms // step * step
    return np.arange(first, last_close, step, dtype=np.int64)


def hour_of_close(market: Market, open_time_ms: Int64) -> Int64:
    """Start of the hour in which each bar closes: the partition the bar belongs to, epoch milliseconds."""
    close = open_time_ms + market.step_ms
    return (close - 1) // HOUR_MS * HOUR_MS
