"""The sentences of decision factors as templates with columns of numbers, so that a month of them stays small.

The words themselves are `domain.factors`'; nothing is worded here, and every sentence can be restored exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard.data.integer_codec import pack
from regime_pipeline.domain.verdicts.explanation import DECIDED, MET, NOT_MET

OUTCOMES: Final = (NOT_MET, MET, DECIDED)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_HOLE: Final = "{}"
Factor = Mapping[str, Any]
_Said = tuple[str, int]
"""A sentence without its numbers, and its outcome."""


def pack_factors(factors: Sequence[Sequence[Factor]], columns: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the factors of every hour, rule by rule.

    Parameters
    ----------
    factors : sequence of sequence of mapping, length n
        Each hour's factors with `rule`, `outcome` and `sentence` (free of braces); an hour without any has none.
    columns : mapping of str to sequence of str, each of length n
        Numbers of each hour as the sentences print them; a number of a sentence that is always the same as one of
        these is not stored again.

    Returns
    -------
    list of dict
        For each rule, in order of first use: `rule`; `template` (packed places in `templates`), missing where an hour
        lacks the rule; `templates` with the names of columns, or empty braces, where numbers stand; `outcomes`, of each
        template its code into `OUTCOMES`; `numbers`, for each template its empty braces' values in the order of hours:
        `data` (packed) and `decimals`, or `text`, separated by blanks, where they are printed unevenly.
    """
    rules = dict.fromkeys(str(factor["rule"]) for hour in factors for factor in hour)
    return [_pack_rule(rule, factors, columns) for rule in rules]


def _pack_rule(rule: str, factors: Sequence[Sequence[Factor]], columns: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    hours: dict[_Said, list[int]] = {}
    numbers: dict[_Said, list[list[str]]] = {}
    template = np.full(len(factors), np.nan)
    for hour, found in enumerate(factors):
        factor = next((factor for factor in found if factor["rule"] == rule), None)
        if factor is None:
            continue
        sentence = str(factor["sentence"])
        said = (_NUMBER.sub(_HOLE, sentence), OUTCOMES.index(factor["outcome"]))
        hours.setdefault(said, []).append(hour)
        numbers.setdefault(said, []).append(_NUMBER.findall(sentence))
        template[hour] = list(hours).index(said)
    filled = [_fill(said[0], hours[said], numbers[said], columns) for said in hours]
    return {
        "rule": rule,
        "template": pack(template),
        "templates": [text for text, _ in filled],
        "outcomes": [outcome for _, outcome in hours],
        "numbers": [kept for _, kept in filled],
    }


def _fill(
    shape: str, hours: Sequence[int], numbers: Sequence[Sequence[str]], columns: Mapping[str, Sequence[str]]
) -> tuple[str, list[dict[str, Any]]]:
    """Replace holes whose number is constant, or a known column; return the template and the numbers left over."""
    parts, kept = shape.split(_HOLE), []
    text = parts[0]
    for place, after in enumerate(parts[1:]):
        values = [found[place] for found in numbers]
        same = next((name for name, known in columns.items() if values == [known[hour] for hour in hours]), None)
        if len(set(values)) == 1:
            text += values[0]
        elif same:
            text += "{" + same + "}"
        else:
            text += _HOLE
            kept.append(_packed(values))
        text += after
    return text, kept


def _packed(values: Sequence[str]) -> dict[str, Any]:
    """Printed numbers packed if every one comes back to the letter, else as they are."""
    decimals = max(len(value.partition(".")[2]) for value in values)
    units = [int(f"{float(value):.{decimals}f}".replace(".", "")) for value in values]
    if max(map(abs, units)) < 2**52 and [f"{unit / 10**decimals:.{decimals}f}" for unit in units] == list(values):
        return {"data": pack(np.array(units, dtype=np.float64)), "decimals": decimals}
    return {"text": " ".join(values)}
