"""Request weights by the minute: how much a client has used, when it is refused, and when it is banned.

Which request weighs what stands with each exchange's routes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

BANNED_AFTER: Final = 10
"""Refusals in one minute after which an address is banned."""
BAN_S: Final = 120
_MINUTE_S: Final = 60


class Ledger:
    """The weights that one address used.

    Parameters
    ----------
    limit : int
        Weight allowed in a minute.
    clock : callable
        Gives seconds that only grow; real time, whatever the exchange's clock says.
    """

    def __init__(self, limit: int = 6_000, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = Lock()
        self._minute = self._used = self._refused = 0
        self._banned_until = 0.0

    def charge(self, weight: int) -> tuple[int, int, int]:
        """Charge a request; return its HTTP status (200, 429 or 418), seconds to wait, and the weight used."""
        with self._lock:
            now = self._clock()
            if int(now // _MINUTE_S) != self._minute:
                self._minute, self._used, self._refused = int(now // _MINUTE_S), 0, 0
            if now < self._banned_until:
                return 418, round(self._banned_until - now) + 1, self._used
            if self._used + weight > self.limit:
                return *self._refuse(now), self._used
            self._used += weight
            return 200, 0, self._used

    def _refuse(self, now: float) -> tuple[int, int]:
        self._refused += 1
        if self._refused > BANNED_AFTER:
            self._banned_until = now + BAN_S
            return 418, BAN_S
        return 429, _MINUTE_S - int(now % _MINUTE_S)
