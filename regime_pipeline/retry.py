"""Retries: which failures are transient, how long to wait, and when to give up.

Used for exchanges and webhooks alike; see `sources.exchange_client` and `services.webhooks`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from regime_pipeline.domain.errors import SourceError

_Answer = TypeVar("_Answer")
ATTEMPTS: Final = 6
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0


class RequestError(Exception):
    """One request failed.

    Parameters
    ----------
    what : str
        The cause in words.
    is_transient : bool
        Another try may succeed: a time-out, a lost connection, a server error, a rate limit. Not a ban, a refusal by
        place or a wrong request.
    wait_s : float
        How long the exchange asks to wait (Retry-After), seconds; 0 if it does not say.
    """

    def __init__(self, what: str, *, is_transient: bool, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.what, self.is_transient, self.wait_s = what, is_transient, wait_s


@dataclass(frozen=True)
class RetryPolicy:
    """How long to go on, and the means to wait, replaceable in tests.

    Parameters
    ----------
    sleep : callable
        Waits so many seconds.
    draw : callable
        Gives a random number in [0, 1), for the jitter.
    clock : callable
        Gives seconds that only grow.
    limit_s : float
        Seconds after which nothing is tried again.
    """

    sleep: Callable[[float], None]
    draw: Callable[[], float]
    clock: Callable[[], float]
    limit_s: float

    @classmethod
    def of_this_machine(cls, limit_s: float) -> Self:
        """Return the policy that really waits, by this machine's clock."""
        return cls(time.sleep, random.random, time.monotonic, limit_s)


def is_passing_status(status: int) -> bool:
    """Say whether an HTTP status may pass by itself: a time-out, too many requests, a server's own error."""
    return status in {408, 429} or status >= 500


def retry(ask: Callable[[], _Answer], patience: RetryPolicy, deadline_s: float, describe: str) -> _Answer:
    """Ask until there is an answer, with growing pauses and jitter.

    Parameters
    ----------
    ask : callable
        Raises `RequestError`.
    patience : RetryPolicy
        Means to wait.
    deadline_s : float
        Reading of `patience.clock` after which no further try is begun.
    describe : str
        Exchange, market and span, for the error.

    Raises
    ------
    SourceError
        The failure does not pass, or it did not within the tries and the time; names the cause.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except RequestError as failure:
            pause = max(failure.wait_s, _pause_s(attempt, patience.draw()))
            if not failure.is_transient:
                raise SourceError(f"{describe}: {failure.what}.") from failure
            if attempt == ATTEMPTS or patience.clock() + pause > deadline_s:
                raise SourceError(
                    f"{describe}: {failure.what} (tried {attempt} times).", "Try again later."
                ) from failure
            patience.sleep(pause)
    raise AssertionError("unreachable")


def _pause_s(attempt: int, drawn: float) -> float:
    """Twice as long each time, of which a random half, never longer than a minute."""
    whole: float = min(FIRST_PAUSE_S * 2.0 ** (attempt - 1), LONGEST_PAUSE_S)
    return whole * (0.5 + drawn / 2)
