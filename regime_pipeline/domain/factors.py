"""Decision factors: what a rule looked at and how it came out, as data, with the sentence that says so.

Tables hold numbers and codes alone; factors are made of them when somebody asks. See `verdicts.explanation` and
`grids.advice_explanation` for the rules and their wording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64

OUTCOMES: Final = ("not met", "met", "decided")
NOT_MET, MET, DECIDED = OUTCOMES
_INPUT_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Factor:
    """One rule at one hour.

    Parameters
    ----------
    rule : str
        Its name, upper case, fixed.
    inputs : mapping of str to number, str or None
        What it looked at; None where a number is not known.
    threshold : number, str, mapping or None
        What the inputs were compared with.
    margin : float or None
        Distance to the threshold, positive where the rule is met; None where it is not a number.
    outcome : {"decided", "met", "not met"}
        One factor of an hour is "decided".
    template : str
        The sentence as a format string whose holes are named after inputs.
    """

    rule: str
    inputs: Mapping[str, Any]
    threshold: Any
    margin: float | None
    outcome: str
    template: str

    @property
    def sentence(self) -> str:
        """The factor in words."""
        return self.template.format_map(self.inputs)

    def document(self) -> dict[str, Any]:
        """Return the factor as JSON values, its sentence included."""
        return {
            "rule": self.rule,
            "inputs": {name: _rounded(value) for name, value in self.inputs.items()},
            "threshold": self.threshold,
            "margin": _rounded(self.margin),
            "outcome": self.outcome,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, eq=False)
class RuleColumns:
    """One rule over n hours; the columnar form of `Factor`.

    Parameters
    ----------
    rule : str
        Its name.
    inputs : mapping of str to ndarray, each of shape (n,)
        Numbers, or texts (object).
    threshold : number, str, mapping or None
        The same for all hours.
    is_met : ndarray of bool, shape (n,)
        Whether the rule holds.
    wording : sequence of str
        Format strings.
    case : ndarray of integers, shape (n,)
        Index into `wording`.
    margin : ndarray of float64, shape (n,), optional
        NaN where it is not a number.
    """

    rule: str
    inputs: Mapping[str, NDArray[Any]]
    threshold: Any
    is_met: NDArray[np.bool_]
    wording: Sequence[str]
    case: NDArray[Any] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    margin: Float64 | None = None

    def factors(self, is_deciding: NDArray[np.bool_]) -> Iterator[Factor]:
        """Yield the factor of each hour; `is_deciding` says where this rule decided."""
        names = tuple(self.inputs)
        columns = [_finite_values(column) for column in self.inputs.values()]
        margins = [None] * len(self.is_met) if self.margin is None else _finite_values(self.margin)
        codes = np.where(is_deciding, OUTCOMES.index(DECIDED), self.is_met).tolist()
        rows = zip(*columns, strict=True) if columns else iter([()] * len(codes))
        for row, margin, code, case in zip(rows, margins, codes, self.case.tolist(), strict=True):
            inputs = dict(zip(names, row, strict=True))
            yield Factor(self.rule, inputs, self.threshold, margin, OUTCOMES[code], self.wording[case])


def _finite_values(column: NDArray[Any]) -> list[Any]:
    """Return a column as Python values; None for what is not a finite number."""
    if column.dtype.kind != "f":
        values: list[Any] = column.tolist()
        return values
    return [value if math.isfinite(value) else None for value in column.tolist()]


def deciding(factors: Sequence[Factor]) -> Factor:
    """Return the factor that decided."""
    return next(factor for factor in factors if factor.outcome == DECIDED)


def _rounded(value: Any) -> Any:
    """A number as an answer prints it; texts and flags as they are."""
    return round(value, _INPUT_DECIMALS) if isinstance(value, float) else value
