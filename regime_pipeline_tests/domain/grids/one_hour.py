"""Advice on one grid at one hour: the hourly rules asked for a single row, as tests say what they expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regime_pipeline.domain.factors import Factor
from regime_pipeline.domain.grids.advice import decide
from regime_pipeline.domain.grids.advice_explanation import explain_advice
from regime_pipeline.domain.grids.advice_state import Situation
from regime_pipeline.domain.grids.comparison import Comparison
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import ACTIONS, ADVICE_STATUSES, GATE_STATES, INVENTORY
from regime_pipeline.policy import Policy


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice on one grid at one hour.

    Parameters
    ----------
    status : str
        One of `schema.ADVICE_STATUSES`.
    action : str
        One of `schema.ACTIONS`.
    enabled : bool
        Whether the configured grid places orders.
    is_actionable : bool
        The action asks somebody to act; else it is for information. It says nothing of the inventory.
    inventory : str
        One of `schema.INVENTORY`; a function of the price and the owner's own limits, never of the verdict.
    proposed_lower, proposed_upper : float or None
        Edges to use, quote currency, where the action needs new ones.
    reasons : tuple of Factor
        Each rule with inputs, threshold and outcome; the first one decided.
    """

    status: str
    action: str
    enabled: bool
    is_actionable: bool
    inventory: str
    proposed_lower: float | None
    proposed_upper: float | None
    reasons: tuple[Factor, ...]


def advise(
    config: GridConfig,
    verdict: Mapping[str, Any],
    comparison: Comparison,
    recent_closes: Sequence[float],
    repositions_bars_ago: Sequence[int],
    policy: Policy,
    gate_state: str = "NONE",
) -> Advice:
    """Return the advice on one grid at one hour.

    Parameters
    ----------
    config : GridConfig
        The version valid then.
    verdict : mapping of str to Any
        `verdict` (a code of `schema.VERDICTS`), `range_low` and `range_high` of the hour.
    comparison : Comparison
        Of the grid with that range, n = 1.
    recent_closes : sequence of float
        Closes of successive bars, oldest first, quote currency; those before the last `outside_closes` change nothing.
    repositions_bars_ago : sequence of int
        How many bars ago the grid's edges were moved, each time they were.
    policy : Policy
        Section `grids`.
    gate_state : str
        One of `restart_gates.machine.GATE_STATES`.
    """
    closes = np.asarray(recent_closes, dtype=np.float64)[::-1][: policy.grids.outside_closes]
    beyond = (closes < float(config.lower)) | (closes > float(config.upper))
    situation = Situation.of(
        config,
        verdict=np.array([verdict["verdict"]], dtype=np.int8),
        range_low=np.array([verdict["range_low"]], dtype=np.float64),
        range_high=np.array([verdict["range_high"]], dtype=np.float64),
        iou=comparison.iou,
        close=closes[:1] if len(closes) else np.array([np.nan]),
        closes_outside=np.array([np.logical_and.accumulate(beyond).sum()], dtype=np.int32),
        bars_since_reposition=np.array([min(repositions_bars_ago, default=np.nan)], dtype=np.float64),
        gate_state=np.array([GATE_STATES.index(gate_state)], dtype=np.int8),
    )
    decided = decide(situation, policy.grids)
    return Advice(
        status=ADVICE_STATUSES[decided.status[0]],
        action=ACTIONS[decided.action[0]],
        enabled=config.enabled,
        is_actionable=bool(decided.is_actionable[0]),
        inventory=INVENTORY[decided.inventory[0]],
        proposed_lower=_or_none(decided.proposed_lower[0]),
        proposed_upper=_or_none(decided.proposed_upper[0]),
        reasons=tuple(explain_advice(situation, decided, policy.grids)[0]),
    )


def _or_none(value: float) -> float | None:
    """A number, None for NaN."""
    return None if np.isnan(value) else float(value)
