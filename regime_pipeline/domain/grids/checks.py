"""One named comparison of a value with a threshold, in numbers and in words.

What is compared stands in `probation`, `graduation` and `quick_stops`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Final

Comparison = Callable[[float, float], bool]
_WORDS: Final[dict[Comparison, str]] = {ge: "at least", gt: "above", le: "at most", lt: "below"}


@dataclass(frozen=True, slots=True)
class Check:
    """A condition and whether it holds.

    Parameters
    ----------
    name : str
        Upper case, fixed.
    value, threshold : float
        What was compared, in the unit the sentence names; a NaN value holds nowhere.
    is_met : bool
        The condition holds.
    sentence : str
        The comparison in words with both numbers.
    """

    name: str
    value: float
    threshold: float
    is_met: bool
    sentence: str


def check(name: str, what: str, value: float, holds: Comparison, threshold: float) -> Check:
    """Compare, and put it into words: `what` names the value and its unit."""
    known = "unknown" if value != value else f"{value:.6g}"
    sentence = f"{what}: {known} ({_WORDS[holds]} {threshold:.6g})."
    return Check(name, float(value), float(threshold), holds(value, threshold), sentence)
