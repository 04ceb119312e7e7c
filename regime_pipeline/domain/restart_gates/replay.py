"""Gate states replayed from a stop, and the hourly rows made of them: each observation as if it were the newest.

See `machine` and `conditions` for the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.named_conditions import Condition, condition_of
from regime_pipeline.domain.grids.probation import Probation, probationary_grid
from regime_pipeline.domain.grids.schema import GATE_STATES, without_stop
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.restart_gates.conditions import (
    MEASURED,
    OF_SCORES,
    GateBar,
    directional_energy,
    mean_reversion,
    tradable_range,
)
from regime_pipeline.domain.restart_gates.machine import Episode, GateState, StopEvent, episodes, step
from regime_pipeline.domain.restart_gates.range_since_stop import after_bar
from regime_pipeline.domain.schema import CLASS_PROBABILITIES
from regime_pipeline.domain.verdicts.rules import TRANSITION, TREND
from regime_pipeline.policy import Policy


def first_needed_ms(hours: Int64, stops: Sequence[StopEvent], grids: Sequence[GridConfig]) -> int | None:
    """Return from when on rows and bars are needed for the gates of these hours, epoch ms; None if from nowhere."""
    if not len(hours):
        return None
    first, last = int(hours[0]) + HOUR_MS, int(hours[-1]) + HOUR_MS
    return min((e.start_ms for e in episodes(stops, grids) if e.start_ms <= last and e.end_ms > first), default=None)


def gate_rows(
    hours: Int64, history: GateHistory, stops: Sequence[StopEvent], grids: Sequence[GridConfig], policy: Policy
) -> Rows:
    """Return the gates at each hour's close.

    Parameters
    ----------
    hours : ndarray of int64, shape (n,)
        Starts of the hours, epoch milliseconds UTC, ascending.
    history : GateHistory
        Bars and rows from `first_needed_ms` on.
    stops, grids : sequence
        Of the symbol, oldest first.
    policy : Policy
        Section `gates` and those that a fresh grid needs.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `schema.GATE_COLUMNS`.
    """
    rows, closes = without_stop(len(hours)), hours + HOUR_MS
    for episode in episodes(stops, grids):
        at = np.flatnonzero((closes >= episode.start_ms) & (closes < episode.end_ms))
        if len(at):
            _fill(rows, at, closes, episode, history, policy)
    return rows


def _fill(rows: Rows, at: Int64, closes: Int64, episode: Episode, history: GateHistory, policy: Policy) -> None:
    """Write one episode's states at the given places."""
    start = GateStep(GateState(episode.start_ms), ())
    steps = [start, *replay(start.state, int(closes[at[-1]]), history, episode.config, policy)]
    seen = np.array([episode.start_ms, *(taken.state.last_close_ms for taken in steps[1:])])
    for place, newest in zip(at.tolist(), (np.searchsorted(seen, closes[at], side="right") - 1).tolist(), strict=True):
        taken = steps[newest]
        rows["stopped_at"][place] = episode.start_ms
        rows["gate_state"][place] = GATE_STATES.index(taken.state.name)
        for name in ("bars", "held"):
            rows[f"gate_{name}"][place] = getattr(taken.state, name)
        rows["permit_bars"][place] = taken.state.permit_bars
        rows["gate_checks"][place] = _checks_json(taken)
        if taken.state.is_permitted:
            known = history.candles.closed_by(int(closes[place]))
            found = probationary_grid(known, episode.start_ms, episode.config, policy)
            rows["restart_grid"][place] = _grid_json(found)


def _checks_json(taken: GateStep) -> str:
    return _json([{"gate": gate, **made.stored()} for gate, made in taken.checks])


def _grid_json(found: Probation) -> str:
    if found.grid is None:
        return _json({"grid": None, "failed": found.checks[-1].stored()})
    plain = {name: value for name, value in found.grid.update().items() if value is not None}
    spacing = {"spacing_quote": found.grid.spacing_quote, "atr_quote": found.grid.atr_quote}
    return _json({"grid": plain | spacing, "failed": None})


def _json(document: Any) -> str:
    """Print JSON; decimals as numbers' texts, NaN as null."""
    return orjson.dumps(document, default=str).decode()


def worded_restart(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the stored probationary grid (`restart_grid`), or why none fits, with a sentence; None without one."""
    if stored is None:
        return None
    if stored["grid"] is not None:
        return {"grid": stored["grid"], "sentence": "A fresh probationary grid from the bars since the stop."}
    failed = stored.get("failed")
    why = condition_of(failed).sentence if failed else "the bars since the stop carry none."
    return {"grid": None, "sentence": f"No fresh grid fits: {why}"}


@dataclass(frozen=True, eq=False)
class GateHistory:
    """What the gates of one market read.

    Parameters
    ----------
    candles : Candles
        Bars from the stop on; others change nothing.
    features, scores, verdicts : Rows
        A row for each hour from the stop on; an hour without one holds nothing.
    """

    candles: Candles
    features: Rows
    scores: Rows
    verdicts: Rows

    @property
    def market(self) -> Market:
        """Whose rows these are."""
        return self.candles.market

    def measured(self, closes_ms: Int64) -> Rows:
        """Return `MEASURED` at the observations that close then, float64, shape (n,) each; NaN without a row."""
        feature_rows = Observations.of(self.features, self.market)
        score_rows = Observations.of(self.scores, self.market)
        tables = {name: score_rows if name in OF_SCORES else feature_rows for name in MEASURED}
        return {name: _at(table, name, closes_ms) for name, table in tables.items()}

    def is_barred(self, closes_ms: Int64) -> NDArray[np.bool_]:
        """Return whether the verdict is TREND or TRANSITION at the observations that close then; bool, shape (n,)."""
        verdicts = _at(Observations.of(self.verdicts, self.market), "verdict", closes_ms)
        return np.asarray((verdicts == TREND) | (verdicts == TRANSITION))


def _at(table: Observations, name: str, closes_ms: Int64) -> Float64:
    """A column at the observations that close then, NaN outside the calendar."""
    column = np.append(table.column(name), np.nan)
    place = closes_ms // table.market.observation_ms - 1 - table.first
    return column[np.where((place >= 0) & (place < len(column) - 1), place, -1)]


@dataclass(frozen=True, slots=True)
class GateStep:
    """One observation since a stop: the state after it and every condition that was looked at.

    Parameters
    ----------
    state : GateState
        After the observation.
    checks : tuple of (gate, Condition)
        Conditions of the gates that were looked at, 1 to 3, in order.
    """

    state: GateState
    checks: tuple[tuple[int, Condition], ...]


@dataclass
class _Asked:
    """The gates of one bar; each is measured when it is asked for, once."""

    bar: GateBar
    state: GateState
    config: GridConfig
    policy: Policy
    found: dict[int, tuple[Condition, ...]] = field(default_factory=dict)

    def holds(self, gate: int) -> bool:
        self.found[gate] = self._checks(gate)
        return all(made.is_met for made in self.found[gate])

    def _checks(self, gate: int) -> tuple[Condition, ...]:
        thresholds = self.policy.gates.of(self.config.symbol)
        if gate == 0:
            return directional_energy(self.bar, thresholds)
        if gate == 1:
            return mean_reversion(self.bar, thresholds)
        state = self.state
        return tradable_range(self.bar, state.stopped_at_ms, self.config, self.policy, thresholds, state.range_weights)


def take(state: GateState, bar: GateBar, config: GridConfig, policy: Policy) -> GateStep:
    """Return the state after one more bar, with what was looked at; see `machine.step`."""
    thresholds = policy.gates.of(config.symbol)
    if bar.close_ms != state.last_close_ms:
        probabilities = [bar.measured[name] for name in CLASS_PROBABILITIES]
        state = replace(state, range_weights=after_bar(state.range_weights, probabilities, thresholds))
    asked = _Asked(bar, state, config, policy)
    after = step(state, bar.close_ms, asked.holds, thresholds, bar.is_barred)
    return GateStep(after, tuple((gate + 1, made) for gate in sorted(asked.found) for made in asked.found[gate]))


def replay(
    state: GateState, until_ms: int, history: GateHistory, config: GridConfig, policy: Policy
) -> Iterator[GateStep]:
    """Yield the step of every observation after a state, up to a moment.

    Parameters
    ----------
    state : GateState
        `GateState(stopped_at_ms)`, or any state that a replay from the stop has reached: the rest is the same.
    until_ms : int
        Newest close wanted, epoch milliseconds UTC.
    history : GateHistory
        Rows and bars from the stop on.
    config : GridConfig
        The stopped grid: its costs and tick decide what a range carries, its prices nothing.
    policy : Policy
        Sections `gates`, `grids`, `grid_capacity`, `ranges`, `features`.

    Notes
    -----
    An observation is a bar's close, or an hour's for timeframes below one hour. A step uses bars closed by its close.
    """
    every = history.market.observation_ms
    newest = state.stopped_at_ms if state.last_close_ms is None else state.last_close_ms
    closes = np.arange(newest // every + 1, until_ms // every + 1, dtype=np.int64) * every
    measured, is_barred = history.measured(closes), history.is_barred(closes)
    for place, close_ms in enumerate(closes.tolist()):
        values = {name: float(column[place]) for name, column in measured.items()}
        bar = GateBar(close_ms, values, history.candles.closed_by(close_ms), bool(is_barred[place]))
        found = take(state, bar, config, policy)
        state = found.state
        yield found
