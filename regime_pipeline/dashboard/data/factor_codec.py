"""Decision factors as templates with columns of numbers, so that a month of them stays small in a page.

The wording is `domain.verdicts.explanation`'s; its templates go into the page as they are, and `static/codec.js` fills
their holes as Python does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard.data.integer_codec import pack
from regime_pipeline.domain.factors import OUTCOMES, Factor
from regime_pipeline.domain.market_data.candles import Float64

COLUMN_FORMAT: Final = ".1f"
"""How the page prints the numbers of its own columns."""
_PARSE: Final = Formatter().parse


@dataclass
class _Wording:
    """One template of a rule with one outcome: its literal text and holes, and their values hour by hour."""

    parts: list[tuple[str, str, str]]
    hours: list[int] = field(default_factory=list)
    values: list[list[Any]] = field(default_factory=list)


def pack_factors(factors: Sequence[Sequence[Factor]], columns: Mapping[str, Float64]) -> list[dict[str, Any]]:
    """Return the factors of every hour, rule by rule.

    Parameters
    ----------
    factors : sequence of sequence of Factor, length n
        Each hour's factors; an hour without any has none.
    columns : mapping of str to ndarray of float64, each of shape (n,)
        Numbers that the page holds already and prints with one decimal; a hole of that name and format is not stored.

    Returns
    -------
    list of dict
        For each rule, in order of first use: `rule`; `template` (packed places in `templates`), missing where an hour
        lacks the rule; `templates` with the names of columns, or empty braces, where numbers are; `outcomes`, of each
        template its code into `OUTCOMES`; `numbers`, for each template its empty braces' values in the order of hours:
        `data` (packed) and `decimals`, or `text`, separated by blanks, where they are printed unevenly.
    """
    rules = dict.fromkeys(factor.rule for hour in factors for factor in hour)
    return [_pack_rule(rule, factors, columns) for rule in rules]


def _pack_rule(rule: str, factors: Sequence[Sequence[Factor]], columns: Mapping[str, Float64]) -> dict[str, Any]:
    found: dict[tuple[str, str], _Wording] = {}
    template = np.full(len(factors), np.nan)
    for hour, factor in _of_rule(rule, factors):
        text = _with_texts(factor)
        wording = found.setdefault((text, factor.outcome), _Wording(list(_parts(text))))
        wording.hours.append(hour)
        wording.values.append([factor.inputs[name] for _, name, _ in wording.parts if name])
        template[hour] = list(found).index((text, factor.outcome))
    filled = [_fill(wording, columns) for wording in found.values()]
    return {
        "rule": rule,
        "template": pack(template),
        "templates": [text for text, _ in filled],
        "outcomes": [OUTCOMES.index(outcome) for _, outcome in found],
        "numbers": [kept for _, kept in filled],
    }


def _of_rule(rule: str, factors: Sequence[Sequence[Factor]]) -> Iterator[tuple[int, Factor]]:
    """The hours that have a factor of the rule."""
    for hour, found in enumerate(factors):
        yield from ((hour, factor) for factor in found if factor.rule == rule)


def _parts(template: str) -> Iterator[tuple[str, str, str]]:
    """Literal text and the hole behind it: name and format, empty for none."""
    for literal, name, spec, _ in _PARSE(template):
        yield literal, name or "", spec or ""


def _with_texts(factor: Factor) -> str:
    """The factor's template with the holes of texts filled: they are few, numbers are many."""
    if not any(isinstance(factor.inputs.get(name), str) for _, name, _ in _parts(factor.template)):
        return factor.template
    text = ""
    for literal, name, spec in _parts(factor.template):
        value = factor.inputs.get(name)
        text += literal + (value if isinstance(value, str) else f"{{{name}:{spec}}}" if name else "")
    return text


def _fill(wording: _Wording, columns: Mapping[str, Float64]) -> tuple[str, list[dict[str, Any]]]:
    """The template for the page and the numbers left over: constants are written out, known columns are named."""
    text, kept, place = "", [], 0
    for literal, name, spec in wording.parts:
        text += literal
        if not name:
            continue
        printed = [format(row[place], spec) for row in wording.values]
        place += 1
        if len(set(printed)) == 1:
            text += printed[0]
        elif name in columns and spec == COLUMN_FORMAT:
            text += "{" + name + "}"
        else:
            text += "{}"
            kept.append(_packed(printed))
    return text, kept


def _packed(values: Sequence[str]) -> dict[str, Any]:
    """Printed numbers packed if every one comes back to the letter, else as they are."""
    decimals = max(len(value.partition(".")[2]) for value in values)
    units = [int(f"{float(value):.{decimals}f}".replace(".", "")) for value in values]
    if max(map(abs, units)) < 2**52 and [f"{unit / 10**decimals:.{decimals}f}" for unit in units] == list(values):
        return {"data": pack(np.array(units, dtype=np.float64)), "decimals": decimals}
    return {"text": " ".join(values)}
