"""What can go wrong at an exchange, as data: which requests and which bars a fault hits, and how often.

See `responses` and `price_feed` for how a fault shows in an answer.
"""

from __future__ import annotations

import random
from enum import StrEnum
from threading import Lock
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    """Every fault the exchange can show."""

    RATE_LIMIT = "rate_limit"
    BAN = "ban"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    RESTRICTED = "restricted"
    SLOW = "slow"
    DROPPED = "dropped"
    TRUNCATED = "truncated"
    DUPLICATE = "duplicate"
    LATE = "late"
    GAP = "gap"
    ZERO_VOLUME = "zero_volume"
    RESTATED = "restated"
    SHORT_CLOSE = "short_close"
    HALTED = "halted"
    UNKNOWN_SYMBOL = "unknown_symbol"
    CLOCK_OFFSET = "clock_offset"
    ARCHIVE_MISSING = "archive_missing"
    ARCHIVE_CHECKSUM = "archive_checksum"
    ARCHIVE_DAMAGED = "archive_damaged"
    ARCHIVE_HEADER = "archive_header"
    ARCHIVE_MILLISECONDS = "archive_milliseconds"
    ARCHIVE_MICROSECONDS = "archive_microseconds"


ANSWER_KINDS: Final = (
    Kind.RATE_LIMIT,
    Kind.BAN,
    Kind.UNAVAILABLE,
    Kind.TIMEOUT,
    Kind.RESTRICTED,
    Kind.SLOW,
    Kind.DROPPED,
    Kind.TRUNCATED,
)
"""Faults of a whole answer; the others are faults of what it says."""


class Fault(BaseModel):
    """One fault, switched on by the control endpoint.

    Parameters
    ----------
    kind : Kind
        What goes wrong.
    symbol : str
        Of which symbol (`ETH-USDT`); empty for all.
    path : str
        In requests whose path holds this text; empty for all but the control endpoint's.
    times : int, optional
        How many requests it hits before it is over; None for all of them.
    probability : float
        Chance of hitting a request.
    start_ms, end_ms : int
        Open times of the bars that a fault of bars changes, epoch milliseconds UTC, half-open.
    seconds : float
        Retry-After, slowness, or how far the clock is ahead.
    factor : float
        A restated bar's volume in terms of the true one; its high and low move one tick apart.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    symbol: str = ""
    path: str = ""
    times: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    start_ms: int = 0
    end_ms: int = 2**62
    seconds: float = 1.0
    factor: float = 2.0


class Faults:
    """The faults in force.

    Parameters
    ----------
    seed : int
        Of the chances.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._lock = Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._faults.append(fault.model_copy())

    def clear(self) -> None:
        """Switch every fault off."""
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[Fault]:
        """Return the faults in force."""
        with self._lock:
            return [fault.model_copy() for fault in self._faults]

    def hit(self, kind: Kind, symbol: str = "", path: str = "") -> Fault | None:
        """Return the first fault of a kind that hits this request, and count the hit."""
        with self._lock:
            for fault in self._faults:
                if not _concerns(fault, kind, symbol, path) or self._random.random() >= fault.probability:
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                return fault
        return None

    def of_bars(self, kind: Kind, symbol: str) -> list[Fault]:
        """Return the faults of one kind that hold for a symbol's bars; they are not used up."""
        with self._lock:
            return [fault for fault in self._faults if _concerns(fault, kind, symbol, fault.path)]


def _concerns(fault: Fault, kind: Kind, symbol: str, path: str) -> bool:
    return fault.kind == kind and fault.symbol in {"", symbol} and fault.path in path
