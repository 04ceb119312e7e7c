"""What checks find wrong with a request, noted until its route refuses all of it at once.

FastAPI gathers by itself what is wrong with single parameters. What depends on several of them, on the stored markets,
or on names that a route does not know is noted here by the dependencies. See `checked_route` for the refusal.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Literal, NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong: what and what to do, and the code of a refusal for it alone."""

    what: str
    code: Literal["usage", "malformed"]


_NOTED: Final[ContextVar[list[Fault] | None]] = ContextVar("noted", default=None)


def begin_to_note() -> None:
    """Forget the faults of the request before."""
    _NOTED.set([])


def note_fault(what: str, code: Literal["usage", "malformed"] = "usage") -> None:
    """Note something that is wrong with the request that is being served; its route will not run."""
    noted_faults().append(Fault(what, code))


def noted_faults() -> list[Fault]:
    """Return what was noted of the request that is being served."""
    noted = _NOTED.get()
    return [] if noted is None else noted
