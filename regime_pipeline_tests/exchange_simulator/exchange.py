"""One exchange: its tape, clock, faults and ledger together, and how every answer passes through them.

See `binance`, `kucoin` and `archive` for the forms of the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from regime_pipeline_tests.exchange_simulator.clock import Clock
from regime_pipeline_tests.exchange_simulator.faults import Faults, Kind
from regime_pipeline_tests.exchange_simulator.price_feed import Listing, Tape
from regime_pipeline_tests.exchange_simulator.responses import Errors, with_faults

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


@dataclass(eq=False)
class Exchange:
    """Everything that the routes share.

    Parameters
    ----------
    listings : mapping of str to Listing
        The symbols.
    clock : Clock
        The exchange's clock.
    faults : Faults
        The faults in force.
    ledger : Ledger
        Request weights.
    """

    listings: Mapping[str, Listing]
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    ledger: Ledger = field(default_factory=Ledger)
    requests: list[str] = field(default_factory=list)
    """Path and query of every request but the control endpoint's, oldest first."""

    def __post_init__(self) -> None:
        """Wind the tape."""
        self.tape = Tape(self.listings, self.clock, self.faults)

    def shown_time_ms(self) -> int:
        """Return the time as the exchange tells it, off by a fault where there is one."""
        fault = self.faults.hit(Kind.CLOCK_OFFSET)
        return self.clock.now_ms() + (round(fault.seconds * 1000) if fault else 0)

    def is_unknown(self, symbol: str) -> bool:
        """Say whether a fault took the symbol off the listing."""
        return bool(self.faults.of_bars(Kind.UNKNOWN_SYMBOL, symbol))

    def symbol_of(self, name: str, separator: str) -> str | None:
        """Return our symbol for the exchange's name of it; None for one that it does not list."""
        known = {symbol.replace("-", separator): symbol for symbol in self.listings if not self.is_unknown(symbol)}
        return known.get(name)

    async def answer(self, request: Request, symbol: str, weight: int, answer: Response, errors: Errors) -> Response:
        """Charge the request, let faults have their way, and return what goes out."""
        self.requests.append(f"{request.url.path}?{request.url.query}")
        status, wait_s, used = self.ledger.charge(weight)
        if status != 200:
            answer = errors.answer("rate_limit" if status == 429 else "ban", status, wait_s)
        else:
            answer = await with_faults(self.faults, symbol, request.url.path, answer, errors)
        answer.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        return answer
