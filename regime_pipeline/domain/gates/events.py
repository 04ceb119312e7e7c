"""Stops of a symbol's grid, and the span of time in which each one is in force.

What may end a stop early, and what follows from it, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regime_pipeline.domain.grids.config import GridConfig

FOREVER_MS = 2**62
"""Later than any time, epoch milliseconds UTC."""


@dataclass(frozen=True, slots=True)
class StopEvent:
    """A stop of a symbol's grid.

    Parameters
    ----------
    symbol : str
        `BASE-QUOTE`.
    stopped_at_ms : int
        When it was stopped, epoch milliseconds UTC.
    cause, who, why : str
        What stopped it (names of quick stops, or MANUAL), by whom, and in words.
    """

    symbol: str
    stopped_at_ms: int
    cause: str
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Episode:
    """A stop while it is in force: from `start_ms` on, before `end_ms`; `config` is the grid that was stopped."""

    start_ms: int
    end_ms: int
    config: GridConfig


def episodes(stops: Sequence[StopEvent], grids: Sequence[GridConfig]) -> tuple[Episode, ...]:
    """Return every stop's episode, oldest first.

    Parameters
    ----------
    stops : sequence of StopEvent
        Of one symbol, oldest first. One before the first version of the grid is left out.
    grids : sequence of GridConfig
        Versions of the symbol's grid, oldest first.

    Notes
    -----
    A stop ends with the next one, or with the first later version that is enabled.
    """
    found = []
    for place, stop in enumerate(stops):
        before = [config for config in grids if config.valid_from_ms <= stop.stopped_at_ms]
        if not before:
            continue
        again = [later.stopped_at_ms for later in stops[place + 1 : place + 2]]
        again += [g.valid_from_ms for g in grids if g.enabled and g.valid_from_ms > stop.stopped_at_ms]
        found.append(Episode(stop.stopped_at_ms, min(again, default=FOREVER_MS), before[-1]))
    return tuple(found)
