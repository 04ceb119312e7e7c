"""Advice in words: every rule with its inputs, threshold, outcome and one sentence, as JSON text.

The rules themselves stand in `advice`; nothing is decided here.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.grids.advice_state import Decisions, Situation
from regime_pipeline.domain.grids.schema import ACTIONS, GATE_STATES, INVENTORY
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.explanation import DECIDED, MET, NOT_MET
from regime_pipeline.policy.grids import GridsPolicy

NO_GRID_REASON: Final = (
    '[{"rule":"ACTION","inputs":{},"threshold":null,"outcome":"decided",'
    '"sentence":"No grid is configured at this hour: there is nothing to advise on."}]'
)
_TODO: Final = {
    "NONE": "there is nothing to do, for information only.",
    "KEEP": "keep it as it is.",
    "ENABLE": "enable it.",
    "STOP_PLACING": "place no new orders; what was bought is decided apart.",
    "REPOSITION": "move it to the discovered range.",
}
_HELD: Final = {
    "NONE": "there is no newest close to judge by.",
    "KEEP": "keep what was bought; a verdict alone never closes it.",
    "CLOSE_AT_LIMIT": "the owner's own limit is passed, so close what was bought.",
}
_GATES: Final = {
    "NONE": "No stop is in force.",
    "PASSED": "The gates are passed, but the time since the stop or this bar withholds the restart.",
    "PERMITTED": "The gates permit a fresh probationary grid.",
}


def reasons_json(situation: Situation, decided: Decisions, policy: GridsPolicy) -> NDArray[Any]:
    """Return each hour's reasons as JSON text, object, shape (n,).

    Returns
    -------
    ndarray
        Lists of `{rule, inputs, threshold, outcome, sentence}`: ACTION (decided), then BOUNDS, NEW_RANGE,
        REPOSITION_GAP, INVENTORY and RESTART_GATES, met or not met.
    """
    rules = (
        _action(situation, decided),
        _bounds(situation, policy),
        _new_range(situation, policy),
        _gap(situation, policy),
        _inventory(situation, decided),
        _gates(situation),
    )
    texts = np.empty(len(situation.verdict), dtype=object)
    texts[:] = [f"[{','.join(parts)}]" for parts in zip(*rules, strict=True)]
    return texts


def _action(s: Situation, decided: Decisions) -> list[str]:
    """What was decided, from the verdict and whether the grid is enabled."""
    state = "enabled" if s.enabled else "disabled"
    texts = []
    for verdict, action in zip(s.verdict.tolist(), decided.action.tolist(), strict=True):
        name = VERDICTS[verdict]
        said = f"The grid is {state} and the verdict is {name}: {_TODO[ACTIONS[action]]}"
        inputs = f'"enabled":{str(s.enabled).lower()},"verdict":"{name}","action":"{ACTIONS[action]}"'
        texts.append(_rule("ACTION", inputs, "null", DECIDED, said))
    return texts


def _bounds(s: Situation, policy: GridsPolicy) -> list[str]:
    """Whether the price left the grid."""
    needed, span = policy.outside_closes, f"{s.lower:.10g} to {s.upper:.10g}"
    texts = []
    for count, close in zip(s.closes_outside.tolist(), _numbers(s.close), strict=True):
        said = f"{count} closes in a row, newest {close}, are beyond {span}; {needed} are needed to call it outside."
        inputs = f'"closes_outside":{count},"close":{close},"lower":{s.lower!r},"upper":{s.upper!r}'
        texts.append(_rule("BOUNDS", inputs, str(needed), _outcome(count >= needed), said))
    return texts


def _new_range(s: Situation, policy: GridsPolicy) -> list[str]:
    """Whether the discovered range is another one than the configured."""
    bound = policy.reposition_iou_below
    texts = []
    columns = (s.iou.tolist(), _numbers(s.iou), _numbers(s.range_low), _numbers(s.range_high))
    for value, iou, low, high in zip(*columns, strict=True):
        said = (
            f"The discovered range {low} to {high} overlaps the configured one by {iou} (a new range: below {bound:g})."
        )
        if iou == "null":
            said = f"There is no discovered range to compare with (a new range: overlap below {bound:g})."
        inputs = f'"iou":{iou},"range_low":{low},"range_high":{high}'
        texts.append(_rule("NEW_RANGE", inputs, f"{bound:g}", _outcome(value < bound), said))
    return texts


def _gap(s: Situation, policy: GridsPolicy) -> list[str]:
    """Whether the last reposition is long enough ago."""
    needed = policy.reposition_gap_bars
    texts = []
    for bars in _numbers(s.bars_since_reposition):
        is_due = bars == "null" or float(bars) >= needed
        said = f"The edges were moved {bars} bars ago (at least {needed} between two repositions)."
        if bars == "null":
            said = f"The edges were never moved (at least {needed} bars between two repositions)."
        texts.append(_rule("REPOSITION_GAP", f'"bars_since_reposition":{bars}', str(needed), _outcome(is_due), said))
    return texts


def _gates(s: Situation) -> list[str]:
    """Whether a stop is in force, and what its gates say."""
    texts = []
    for code, is_blocked in zip(s.gate_state.tolist(), s.is_blocked.tolist(), strict=True):
        name = GATE_STATES[code]
        said = _GATES.get(name, f"A stop is in force and waits at {name}: the grid must not start again.")
        texts.append(_rule("RESTART_GATES", f'"gate_state":"{name}"', '"PERMITTED"', _outcome(not is_blocked), said))
    return texts


def _inventory(s: Situation, decided: Decisions) -> list[str]:
    """What to do with what was bought, apart from the verdict."""
    limits = _numbers(np.array([s.limit_lower or np.nan, s.limit_upper]))
    threshold = f'{{"limit_lower":{limits[0]},"limit_upper":{limits[1]}}}'
    texts = []
    for code, close in zip(decided.inventory.tolist(), _numbers(s.close), strict=True):
        name = INVENTORY[code]
        said = f"Newest close {close}, limits {limits[0]} and {limits[1]}: {_HELD[name]}".replace("null", "none")
        inputs = f'"close":{close},"inventory":"{name}"'
        texts.append(_rule("INVENTORY", inputs, threshold, _outcome(name == "CLOSE_AT_LIMIT"), said))
    return texts


def _rule(name: str, inputs: str, threshold: str, outcome: str, sentence: str) -> str:
    """One rule as JSON."""
    return (
        f'{{"rule":"{name}","inputs":{{{inputs}}},"threshold":{threshold},"outcome":"{outcome}",'
        f'"sentence":"{sentence}"}}'
    )


def _outcome(is_met: bool) -> str:
    """Whether a rule is met."""
    return MET if is_met else NOT_MET


def _numbers(values: Float64) -> list[str]:
    """Numbers as JSON; null for what is not finite."""
    return [f"{value:.10g}" if np.isfinite(value) else "null" for value in values.tolist()]
