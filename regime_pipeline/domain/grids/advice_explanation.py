"""Why advice is what it is: each rule with its inputs, threshold, outcome and one sentence.

Nothing is decided here. See `advice` for the rules, `domain.factors` for the shape of a factor.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.factors import DECIDED, Factor, RuleColumns
from regime_pipeline.domain.grids.advice_state import Decisions, Situation
from regime_pipeline.domain.grids.schema import ACTIONS, ADVICE_STATUSES, GATE_STATES, INVENTORY
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.policy.grids import GridsPolicy

NO_GRID_FACTOR: Final = Factor(
    "ACTION", {}, None, None, DECIDED, "No grid is configured at this hour, so there is nothing to advise on."
)
_TODO: Final = {
    "NONE": "nothing to do, for information only.",
    "KEEP": "keep it as it is.",
    "ENABLE": "enable it.",
    "STOP_PLACING": "place no new orders; whether to close what was bought is a separate decision.",
    "REPOSITION": "move it to the discovered range.",
}
_OUTSIDE: Final = _TODO | {"KEEP": "watch it; the next close outside stops new orders."}
_INVENTORY: Final = {
    "NONE": "there is no newest close to judge by.",
    "KEEP": "keep what was bought; a verdict alone never closes it.",
    "CLOSE_AT_LIMIT": "the price is beyond the owner's own limit, so close what was bought.",
}
_IS_OUTSIDE: Final = ADVICE_STATUSES.index("OUTSIDE")
_GATES: Final = {
    "NONE": "No stop is in force.",
    "PASSED": "The gates are passed, but the minimum time since the stop, or the verdict, still withholds the restart.",
    "PERMITTED": "The gates permit a fresh probationary grid; `regime gates restart` starts it.",
}


def explain_advice(situation: Situation, decided: Decisions, policy: GridsPolicy) -> list[list[Factor]]:
    """Return the factors behind each hour's advice on one configured grid.

    Parameters
    ----------
    situation, decided : Situation, Decisions
        What the rules saw and said, n hours.
    policy : GridsPolicy
        The one that they were decided under.

    Returns
    -------
    list of list of Factor, n lists
        ACTION first, which decided; the others met or not met.
    """
    columns = (
        _action(situation, decided),
        _bounds(situation, policy),
        _new_range(situation, policy),
        _gap(situation, policy),
        _inventory(situation, decided),
        _gates(situation),
    )
    is_action = np.ones(len(situation.verdict), dtype=np.bool_)
    rules = (rule.factors(is_action if rule.rule == "ACTION" else ~is_action) for rule in columns)
    return [list(factors) for factors in zip(*rules, strict=True)]


def _named(codes: NDArray[Any], names: tuple[str, ...]) -> NDArray[Any]:
    """The name of each code, object."""
    named: NDArray[Any] = np.array(names, dtype=object)[codes]
    return named


def _action(s: Situation, decided: Decisions) -> RuleColumns:
    """What was decided, from the verdict and whether the grid is enabled."""
    state, count = "enabled" if s.enabled else "disabled", len(s.verdict)
    return RuleColumns(
        "ACTION",
        {
            "enabled": np.full(count, s.enabled),
            "verdict": _named(s.verdict, VERDICTS),
            "action": _named(decided.action, ACTIONS),
        },
        None,
        np.ones(count, dtype=np.bool_),
        (
            *(f"The grid is {state} and the verdict is {{verdict}}: {_TODO[name]}" for name in ACTIONS),
            *(f"The price is outside the enabled grid, verdict {{verdict}}: {_OUTSIDE[name]}" for name in ACTIONS),
        ),
        decided.action + np.where(decided.status == _IS_OUTSIDE, len(ACTIONS), 0),
    )


def _bounds(s: Situation, policy: GridsPolicy) -> RuleColumns:
    """Whether the price left the grid."""
    needed, count = policy.outside_closes, len(s.verdict)
    span = f"{s.lower:.10g} to {s.upper:.10g}"
    said = f"{{closes_outside}} closes in a row are outside {span}, the newest at"
    return RuleColumns(
        "BOUNDS",
        {
            "closes_outside": s.closes_outside,
            "close": s.close,
            "lower": np.full(count, s.lower),
            "upper": np.full(count, s.upper),
        },
        needed,
        s.closes_outside >= needed,
        (
            f"The newest close {{close:.10g}} is inside {span}.",
            f"{said} {{close:.10g}}; {needed} count as having left the grid.",
            f"There is no newest close to compare with {span}.",
        ),
        np.where(np.isnan(s.close), 2, s.closes_outside > 0),
    )


def _new_range(s: Situation, policy: GridsPolicy) -> RuleColumns:
    """Whether the discovered range differs from the configured one."""
    bound = policy.reposition_iou_below
    overlap = f"overlaps the configured one by {{iou:.2f}} (below {bound:g} it counts as a new range)."
    return RuleColumns(
        "NEW_RANGE",
        {"iou": s.iou, "range_low": s.range_low, "range_high": s.range_high},
        bound,
        s.iou < bound,
        (
            f"The discovered range {{range_low:.10g}} to {{range_high:.10g}} {overlap}",
            "There is no discovered range to compare with the configured one.",
        ),
        np.isnan(s.iou).astype(np.int8),
    )


def _gap(s: Situation, policy: GridsPolicy) -> RuleColumns:
    """Whether the last reposition is long enough ago."""
    needed, bars = policy.reposition_gap_bars, s.bars_since_reposition
    return RuleColumns(
        "REPOSITION_GAP",
        {"bars_since_reposition": bars},
        needed,
        ~(bars < needed),
        (
            f"The edges were last moved {{bars_since_reposition:.0f}} bars ago (at least {needed} between two moves).",
            f"The edges were never moved (at least {needed} bars between two moves).",
        ),
        np.isnan(bars).astype(np.int8),
    )


def _inventory(s: Situation, decided: Decisions) -> RuleColumns:
    """What to do with what was bought, independent of the verdict."""
    lower = None if s.limit_lower == 0.0 else s.limit_lower
    upper = None if np.isinf(s.limit_upper) else s.limit_upper
    limits = " and ".join("none" if limit is None else f"{limit:.10g}" for limit in (lower, upper))
    count = len(INVENTORY)
    said = tuple(f"Newest close {{close:.10g}}, limits {limits}: {_INVENTORY[name]}" for name in INVENTORY)
    return RuleColumns(
        "INVENTORY",
        {"close": s.close, "inventory": _named(decided.inventory, INVENTORY)},
        {"limit_lower": lower, "limit_upper": upper},
        decided.inventory == INVENTORY.index("CLOSE_AT_LIMIT"),
        (*said, f"Limits {limits}: {_INVENTORY['NONE']}"),
        np.where(np.isnan(s.close), count, decided.inventory),
    )


def _gates(s: Situation) -> RuleColumns:
    """Whether a stop is in force, and what its gates say."""
    waits = "A stop is in force and waits at {gate_state}: do not start the grid again."
    return RuleColumns(
        "RESTART_GATES",
        {"gate_state": _named(s.gate_state, GATE_STATES)},
        "PERMITTED",
        ~s.is_blocked,
        tuple(_GATES.get(name, waits) for name in GATE_STATES),
        s.gate_state,
    )
