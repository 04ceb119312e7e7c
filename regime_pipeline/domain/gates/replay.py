"""Gate states replayed from a stop: every observation since it, each as if it were the newest.

Rules stand in `machine` and `conditions`; which stop is in force at which hour belongs to `gate_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.gates.conditions import (
    MEASURED,
    GateBar,
    directional_energy,
    mean_reversion,
    tradable_range,
)
from regime_pipeline.domain.gates.machine import GateState, step
from regime_pipeline.domain.grids.checks import Check
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.market import Market
from regime_pipeline.domain.observations import Observations
from regime_pipeline.domain.rows import Rows
from regime_pipeline.domain.window import Int64
from regime_pipeline.policy import Policy


@dataclass(frozen=True, eq=False)
class History:
    """What the gates of one market read.

    Parameters
    ----------
    candles : Candles
        Bars from the stop on; others change nothing.
    features, scores : Rows
        A row for each hour from the stop on; an hour without one holds nothing.
    """

    candles: Candles
    features: Rows
    scores: Rows

    @property
    def market(self) -> Market:
        """Whose rows these are."""
        return self.candles.market

    def measured(self, closes_ms: Int64) -> Rows:
        """Return `MEASURED` at the observations that close then, float64, shape (n,) each; NaN without a row."""
        feature_rows = Observations.of(self.features, self.market)
        score_rows = Observations.of(self.scores, self.market)
        tables = {name: score_rows if name == "mean_rev_score" else feature_rows for name in MEASURED}
        return {name: _at(table, name, closes_ms) for name, table in tables.items()}


def _at(table: Observations, name: str, closes_ms: Int64) -> Int64:
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
    checks : tuple of (gate, Check)
        Conditions of the gates that were looked at, 1 to 3, in order.
    """

    state: GateState
    checks: tuple[tuple[int, Check], ...]


@dataclass
class _Asked:
    """The gates of one bar; each is measured when it is asked for, once."""

    bar: GateBar
    stopped_at_ms: int
    config: GridConfig
    policy: Policy
    found: dict[int, tuple[Check, ...]] = field(default_factory=dict)

    def holds(self, gate: int) -> bool:
        self.found[gate] = self._checks(gate)
        return all(made.is_met for made in self.found[gate])

    def _checks(self, gate: int) -> tuple[Check, ...]:
        thresholds = self.policy.gates.of(self.config.symbol)
        if gate == 0:
            return directional_energy(self.bar, thresholds)
        if gate == 1:
            return mean_reversion(self.bar, thresholds)
        return tradable_range(self.bar, self.stopped_at_ms, self.config, self.policy, thresholds)


def take(state: GateState, bar: GateBar, config: GridConfig, policy: Policy) -> GateStep:
    """Return the state after one more bar, with what was looked at; see `machine.step`."""
    asked = _Asked(bar, state.stopped_at_ms, config, policy)
    after = step(state, bar.close_ms, asked.holds, policy.gates.of(config.symbol))
    return GateStep(after, tuple((gate + 1, made) for gate in sorted(asked.found) for made in asked.found[gate]))


def replay(state: GateState, until_ms: int, history: History, config: GridConfig, policy: Policy) -> Iterator[GateStep]:
    """Yield the step of every observation after a state, up to a moment.

    Parameters
    ----------
    state : GateState
        `GateState(stopped_at_ms)`, or any state that a replay from the stop has reached: the rest is the same.
    until_ms : int
        Newest close wanted, epoch milliseconds UTC.
    history : History
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
    measured = history.measured(closes)
    for place, close_ms in enumerate(closes.tolist()):
        values = {name: float(column[place]) for name, column in measured.items()}
        found = take(state, GateBar(close_ms, values, history.candles.closed_by(close_ms)), config, policy)
        state = found.state
        yield found
