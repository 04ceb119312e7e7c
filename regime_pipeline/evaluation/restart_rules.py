"""Restarts after labelled stops: when a grid would start again, whether the market ranged then, what followed.

See `restart_report` for the report, `grid_strategies` for whole grids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.grid_run import simulate_grid
from regime_pipeline.domain.grids.probation import probationary_grid
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.restart_gates.conditions import GateBar, directional_energy, mean_reversion, tradable_range
from regime_pipeline.domain.restart_gates.machine import GateState
from regime_pipeline.domain.restart_gates.replay import GateHistory, replay
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.evaluation.datasets import LabelledMarket
from regime_pipeline.evaluation.grid_strategies import grid_around
from regime_pipeline.policy import Policy
from regime_pipeline.services.backtest.classes import RANGE

STOP_AFTER_BARS: Final = 8
"""A stop stands so many bars after a range has ended: nobody sees its end sooner."""
FIRST_BARS: Final = 24
RESTART_SEEDS: Final = range(8_000, 8_012)
"""Never looked at while thresholds of the gates were chosen; they are those of the definitions."""


@dataclass(frozen=True, slots=True)
class Restart:
    """What one rule did after one stop.

    Parameters
    ----------
    wait_bars : int
        Bars from the stop to the restart; to the end of the data where there was none.
    is_restarted, is_false : bool
        It restarted; it restarted while the truth was no range.
    next_in_range : float
        Share of the next 24 bars whose truth is a range; NaN without a restart.
    first_loss_pct : float
        Loss of a probationary grid over these bars, inventory at the last close, percent of its capital (a gain is
        negative); NaN without a restart or where no fresh grid fits.
    """

    wait_bars: int
    is_restarted: bool
    is_false: bool
    next_in_range: float
    first_loss_pct: float


Rule = Callable[[LabelledMarket, int, GridConfig, Policy], Iterator[bool]]
"""`(market, row of the stop, stopped grid, policy)`: for each later bar, whether the rule would restart there."""


def labelled_stops(truth: NDArray[np.int8], first: int) -> list[int]:
    """Return the rows of stops: so many bars after each end of a range, if the next spell lasts that long."""
    ends = np.flatnonzero((truth[:-1] == RANGE) & (truth[1:] != RANGE)) + 1
    stops = [int(end) + STOP_AFTER_BARS for end in ends if end >= first]
    return [row for row in stops if row < len(truth) and not (truth[row - STOP_AFTER_BARS : row + 1] == RANGE).any()]


def restarts(market: LabelledMarket, first: int, rule: Rule, policy: Policy) -> list[Restart]:
    """Return what a rule does after every labelled stop from row `first` on."""
    last = len(market.truth) - FIRST_BARS
    return [_restart(market, stop, last, rule, policy) for stop in labelled_stops(market.truth[:last], first)]


def _restart(market: LabelledMarket, stop: int, last: int, rule: Rule, policy: Policy) -> Restart:
    config = grid_around(market.candles, stop, policy)
    for row, is_allowed in enumerate(rule(market, stop, config, policy), stop + 1):
        if row >= last:
            break
        if is_allowed:
            ahead = slice(row + 1, row + 1 + FIRST_BARS)
            share = float(np.mean(market.truth[ahead] == RANGE))
            loss = _first_loss_pct(market.candles, stop, row, config, policy)
            return Restart(row - stop, True, bool(market.truth[row] != RANGE), share, loss)
    return Restart(last - stop, False, False, float("nan"), float("nan"))


def _first_loss_pct(candles: Candles, stop: int, row: int, config: GridConfig, policy: Policy) -> float:
    """Loss of the fresh probationary grid in its first bars, percent of its capital."""
    stopped_ms = int(candles.close_time_ms[stop])
    found = probationary_grid(candles[: row + 1], stopped_ms, config, policy).grid
    if found is None:
        return float("nan")
    fresh = config.model_copy(update=found.update())
    try:
        run = simulate_grid(fresh, candles[row + 1 : row + 1 + FIRST_BARS])
    except RegimeError:  # the next open lies outside the fresh grid: nothing is placed
        return 0.0
    capital = float(found.allocation_quote)
    return 100.0 * (capital - float(run.equity_quote[-1])) / capital


def gates_rule(market: LabelledMarket, stop: int, config: GridConfig, policy: Policy) -> Iterator[bool]:
    """The three gates."""
    history = GateHistory(market.candles, *market.analysis)
    state = GateState(int(market.candles.close_time_ms[stop]))
    until = int(market.candles.close_time_ms[-1])
    return (taken.state.is_permitted for taken in replay(state, until, history, config, policy))


def floor_rule(market: LabelledMarket, stop: int, config: GridConfig, policy: Policy) -> Iterator[bool]:
    """The time floor alone."""
    floor = policy.gates.of(config.symbol).floor_bars
    return (bars >= floor for bars in range(1, len(market.truth) - stop))


def verdict_rule(market: LabelledMarket, stop: int, config: GridConfig, policy: Policy) -> Iterator[bool]:
    """The verdict RANGE_OK, after the time floor."""
    is_ok = (market.analysis.verdicts["verdict"][stop + 1 :] == VERDICTS.index("RANGE_OK")).tolist()
    return (ok and held for ok, held in zip(is_ok, floor_rule(market, stop, config, policy), strict=False))


def hindsight_rule(market: LabelledMarket, stop: int, config: GridConfig, policy: Policy) -> Iterator[bool]:
    """The first bar whose truth is a range, after the time floor: nobody can know, so it is the least honest wait."""
    is_range = (market.truth[stop + 1 :] == RANGE).tolist()
    return (found and held for found, held in zip(is_range, floor_rule(market, stop, config, policy), strict=False))


def first_gates_rule(count: int) -> Rule:
    """The first `count` gates on one bar, after the time floor, without holding them."""

    def rule(market: LabelledMarket, stop: int, config: GridConfig, policy: Policy) -> Iterator[bool]:
        thresholds = policy.gates.of(config.symbol)
        candles, stopped_ms = market.candles, int(market.candles.close_time_ms[stop])
        history = GateHistory(candles, *market.analysis)
        closes = candles.close_time_ms[stop + 1 :]
        measured = history.measured(closes)
        for place, close_ms in enumerate(closes.tolist()):
            bar = GateBar(
                close_ms, {name: float(v[place]) for name, v in measured.items()}, candles[: stop + 2 + place]
            )
            gates = (
                partial(directional_energy, bar, thresholds),
                partial(mean_reversion, bar, thresholds),
                partial(tradable_range, bar, stopped_ms, config, policy, thresholds),
            )
            is_held = place + 1 >= thresholds.floor_bars
            yield is_held and all(made.is_met for gate in gates[:count] for made in gate())

    return rule


RULES: Final[dict[str, Rule]] = {
    "true range, known at once (HINDSIGHT)": hindsight_rule,
    "time floor alone": floor_rule,
    "gate 1": first_gates_rule(1),
    "gates 1 and 2": first_gates_rule(2),
    "gates 1 to 3, one bar": first_gates_rule(3),
    "verdict RANGE_OK": verdict_rule,
    "the restart gates": gates_rule,
}
"""What is compared; the last one is this project's."""
