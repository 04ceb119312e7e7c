"""The exchange's clock: real time, or one that stands where it is set until it is set again.

See `price_feed` for what time means for a bar.
"""

from __future__ import annotations

import time
from threading import Lock


class Clock:
    """Now in epoch milliseconds UTC.

    Parameters
    ----------
    now_ms : int, optional
        Where the clock stands; real time without it.
    """

    def __init__(self, now_ms: int | None = None) -> None:
        self._fixed = now_ms
        self._lock = Lock()

    def now_ms(self) -> int:
        """Return the exchange's time."""
        with self._lock:
            return time.time_ns() // 1_000_000 if self._fixed is None else self._fixed

    def set(self, now_ms: int | None) -> None:
        """Stand at a time, or follow real time again (None)."""
        with self._lock:
            self._fixed = now_ms

    def advance(self, by_ms: int) -> int:
        """Move on by so many milliseconds from where the clock is, and stand there; return the new time."""
        with self._lock:
            self._fixed = (time.time_ns() // 1_000_000 if self._fixed is None else self._fixed) + by_ms
            return self._fixed
