"""Timings in turns: every way once a round, so that what else the machine does falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes, seconds."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def interleaved(
    rounds: int, ways: Mapping[str, Callable[[], object]], before: Mapping[str, Callable[[], object]] | None = None
) -> dict[str, float]:
    """Return the median seconds of each way after a first round that does not count; `before` it runs untimed."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            if before and name in before:
                before[name]()
            took = seconds(way)
            if turn:
                taken[name].append(took)
    return {name: statistics.median(values) for name, values in taken.items()}
