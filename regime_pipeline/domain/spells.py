"""Spells of hours in one state: how long they last, and what follows what.

See `dashboard.components.tables` for how they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.window import Int64


@dataclass(frozen=True, eq=False)
class Runs:
    """Maximal runs of one state in consecutive hours, k of them, ascending.

    Parameters
    ----------
    code : ndarray of int64, shape (k,)
        State of each run.
    first, count : ndarray of int64, shape (k,)
        Its first hour (a place in the calendar) and its length in hours.
    """

    code: Int64
    first: Int64
    count: Int64


@dataclass(frozen=True, slots=True)
class Dwell:
    """How long one state lasted: its spells (maximal runs of hours in a row) and their lengths in hours."""

    spells: int
    mean_hours: float | None
    median_hours: float | None
    longest_hours: float | None

    @classmethod
    def of(cls, hours: NDArray[Any]) -> Dwell:
        """Return the dwell time of spells of these lengths, hours; None for lengths where there is no spell."""
        if not len(hours):
            return cls(0, None, None, None)
        return cls(len(hours), float(hours.mean()), float(np.median(hours)), float(hours.max()))


@dataclass(frozen=True, slots=True)
class StateDwell:
    """A state's name, its share of the known hours (0..1), and how long it lasted."""

    name: str
    share: float | None
    dwell: Dwell


def find_runs(codes: NDArray[Any]) -> Runs:
    """Return the runs of a calendar of hourly codes, shape (n,); NaN is a missing hour, in no run, and ends one."""
    values = np.asarray(codes, dtype=np.float64)
    is_there = ~np.isnan(values)
    before = np.append(np.nan, values[:-1])[: len(values)]
    first = np.flatnonzero(is_there & (values != before))
    ends = np.flatnonzero(is_there & (np.append(values[1:], np.nan)[: len(values)] != values)) + 1
    return Runs(values[first].astype(np.int64), first.astype(np.int64), (ends - first).astype(np.int64))


def transition_counts(codes: NDArray[Any], states: int) -> Int64:
    """Count how often an hour's state was followed by another, or the same, in the very next hour.

    Returns
    -------
    ndarray of int64, shape (states, states)
        From row to column; pairs with a missing hour are in no cell.
    """
    values = np.asarray(codes, dtype=np.float64)
    before, after = values[:-1], values[1:]
    whole = ~(np.isnan(before) | np.isnan(after))
    counts = np.zeros((states, states), dtype=np.int64)
    np.add.at(counts, (before[whole].astype(np.int64), after[whole].astype(np.int64)), 1)
    return counts


def named_transitions(codes: NDArray[Any], names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the counts of `transition_counts` of the states that occur, from name to name."""
    counts = transition_counts(codes, len(names)).tolist()
    seen = [code for code in range(len(names)) if np.any(np.asarray(codes) == code)]
    return {names[code]: {names[to]: counts[code][to] for to in seen} for code in seen}


def dwells(codes: NDArray[Any], names: Sequence[str]) -> list[StateDwell]:
    """Return how much and how long each state that occurs was there.

    The newest run may not have ended yet, nor the oldest have begun in the period; both count as seen.
    """
    runs = find_runs(codes)
    total = int(runs.count.sum())
    found = []
    for code, name in enumerate(names):
        lengths = runs.count[runs.code == code]
        if len(lengths):
            found.append(StateDwell(name, int(lengths.sum()) / total, Dwell.of(lengths)))
    return found
