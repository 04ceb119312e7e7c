"""Hourly rows of the gates: at each hour's close the stop in force, its state, what was looked at, what may start.

The replay itself stands in `replay`; nothing after an hour's close is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from regime_pipeline.domain.gates.events import Episode, StopEvent, episodes
from regime_pipeline.domain.gates.layout import without_stop
from regime_pipeline.domain.gates.machine import GATE_STATES, GateState
from regime_pipeline.domain.gates.replay import GateStep, History, replay
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.probation import Probation, probationary_grid
from regime_pipeline.domain.market import HOUR_MS
from regime_pipeline.domain.rows import Rows
from regime_pipeline.domain.window import Int64
from regime_pipeline.policy import Policy


def first_needed_ms(hours: Int64, stops: Sequence[StopEvent], grids: Sequence[GridConfig]) -> int | None:
    """Return from when on rows and bars are needed for the gates of these hours, epoch ms; None if from nowhere."""
    if not len(hours):
        return None
    first, last = int(hours[0]) + HOUR_MS, int(hours[-1]) + HOUR_MS
    return min((e.start_ms for e in episodes(stops, grids) if e.start_ms <= last and e.end_ms > first), default=None)


def gate_rows(
    hours: Int64, history: History, stops: Sequence[StopEvent], grids: Sequence[GridConfig], policy: Policy
) -> Rows:
    """Return the gates at each hour's close.

    Parameters
    ----------
    hours : ndarray of int64, shape (n,)
        Starts of the hours, epoch milliseconds UTC, ascending.
    history : History
        Bars and rows from `first_needed_ms` on.
    stops, grids : sequence
        Of the symbol, oldest first.
    policy : Policy
        Section `gates` and those that a fresh grid needs.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `layout.GATE_COLUMNS`.
    """
    rows, closes = without_stop(len(hours)), hours + HOUR_MS
    for episode in episodes(stops, grids):
        at = np.flatnonzero((closes >= episode.start_ms) & (closes < episode.end_ms))
        if len(at):
            _fill(rows, at, closes, episode, history, policy)
    return rows


def _fill(rows: Rows, at: Int64, closes: Int64, episode: Episode, history: History, policy: Policy) -> None:
    """Write one episode's states at the given places."""
    start = GateStep(GateState(episode.start_ms), ())
    steps = [start, *replay(start.state, int(closes[at[-1]]), history, episode.config, policy)]
    seen = np.array([episode.start_ms, *(taken.state.last_close_ms for taken in steps[1:])])
    for place, newest in zip(at.tolist(), (np.searchsorted(seen, closes[at], side="right") - 1).tolist(), strict=True):
        taken = steps[newest]
        rows["stopped_at"][place] = episode.start_ms
        rows["gate_state"][place] = GATE_STATES.index(taken.state.name)
        rows["gate_bars"][place], rows["gate_held"][place] = taken.state.bars, taken.state.held
        rows["gate_checks"][place] = _checks_json(taken)
        if taken.state.is_permitted:
            known = history.candles.closed_by(int(closes[place]))
            found = probationary_grid(known, episode.start_ms, episode.config, policy)
            rows["restart_grid"][place] = _grid_json(found)


def _checks_json(taken: GateStep) -> str:
    documents = [
        {
            "gate": gate,
            "name": made.name,
            "value": made.value,
            "threshold": made.threshold,
            "is_met": made.is_met,
            "sentence": made.sentence,
        }
        for gate, made in taken.checks
    ]
    return _json(documents)


def _grid_json(found: Probation) -> str:
    if found.grid is None:
        return _json({"grid": None, "sentence": f"No fresh grid fits: {found.checks[-1].sentence}"})
    plain = {name: value for name, value in found.grid.update().items() if value is not None}
    spacing = {"spacing_quote": found.grid.spacing_quote, "atr_quote": found.grid.atr_quote}
    return _json({"grid": plain | spacing, "sentence": "A fresh probationary grid from the bars since the stop."})


def _json(document: Any) -> str:
    """Print JSON; decimals as numbers' texts, NaN as null."""
    return orjson.dumps(document, default=str).decode()
