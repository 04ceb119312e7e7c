"""Bounds of each field of a grid's configuration, one sentence each, and the grid's lines.

See `config` for the fields and how faults are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal

from regime_pipeline.domain.market_data.candles import MAX_TICKS

_DIGITS: Final = Context(prec=50)


def tick_lines(lower: int, upper: int, levels: int, spacing: Literal["arithmetic", "geometric"]) -> tuple[int, ...]:
    """Return the lines of a grid in ticks, `levels + 1` of them, ascending, both edges included.

    Parameters
    ----------
    lower, upper : int
        Edges in ticks, `0 < lower < upper`.
    levels : int
        Intervals.
    spacing : str
        `arithmetic`: equal differences; `geometric`: equal ratios q = (upper / lower) ** (1 / levels).

    Notes
    -----
    Each line is the exact one rounded half up to a tick, so lines at least one tick apart stay distinct. Decimal
    logarithms of 50 digits make the same ticks on every machine.
    """
    if spacing == "arithmetic":
        return tuple((2 * (lower * (levels - i) + upper * i) + levels) // (2 * levels) for i in range(levels + 1))
    log_ratio = _DIGITS.ln(_DIGITS.divide(Decimal(upper), Decimal(lower)))
    shares = (_DIGITS.divide(_DIGITS.multiply(log_ratio, Decimal(i)), Decimal(levels)) for i in range(1, levels))
    inner = tuple(int(lower * Fraction(_DIGITS.exp(share)) + Fraction(1, 2)) for share in shares)
    return (lower, *inner, upper)


def net_gain(low: Fraction | int, high: Fraction | int, fee: Fraction) -> Fraction:
    """Return the net gain of buying at `low` and selling at `high`, a share: high / low * (1 - fee)^2 - 1, exact.

    At equal ratios it is q * (1 - fee)^2 - 1 at every level; at equal differences the top level earns least,
    upper / (upper - step) * (1 - fee)^2 - 1.
    """
    return Fraction(high) / Fraction(low) * (1 - fee) ** 2 - 1


MIN_LEVELS: Final = 2
MAX_LEVELS: Final = 1000
MAX_FEE_BPS: Final = 100
MAX_WORDS: Final = 500
_EXACT: Final = Context(prec=60)
Spacing = Literal["arithmetic", "geometric"]
Known = dict[str, Any]
"""Sound values of the fields before this one."""
Rule = Callable[[Any, Known], list[str]]
"""Faults of a value; none where it is sound."""


def in_ticks(price: Decimal, tick: Decimal) -> int:
    """A price in ticks; exact, the price is a multiple."""
    return int(Fraction(price) / Fraction(tick))


def from_ticks(ticks: int, tick: Decimal) -> Decimal:
    """A price of whole ticks; exact."""
    return _EXACT.multiply(Decimal(ticks), tick)


def whole_ticks(price: float, tick: Decimal, rounded: Callable[[float], int]) -> int:
    """A float price in whole ticks; a millionth of a tick is not a distance."""
    return rounded(round(price / float(tick), 6))


def no_rule(value: Any, known: Known) -> list[str]:  # noqa: ARG001 - the shape of a rule
    """Accept."""
    return []


def _failing(*checks: tuple[bool, str]) -> list[str]:
    """Sentences of the checks that do not hold."""
    return [sentence for holds, sentence in checks if not holds]


def _positive(value: Decimal, known: Known) -> list[str]:  # noqa: ARG001 - the shape of a rule
    """A number above zero."""
    return _failing((value > 0, "must be above 0"))


def _price(value: Decimal, known: Known) -> list[str]:
    """A price the exchange can quote."""
    if value <= 0 or "tick" not in known:
        return _positive(value, known)
    ticks, tick = Fraction(value) / Fraction(known["tick"]), known["tick"]
    return _failing(
        (ticks.denominator == 1, f"must be a multiple of tick = {tick:f}"),
        (ticks <= MAX_TICKS, f"must not exceed {MAX_TICKS} ticks of {tick:f}"),
    )


def _upper(value: Decimal, known: Known) -> list[str]:
    """A price above the lower edge."""
    lower = known.get("lower", value - 1)
    return [*_price(value, known), *_failing((value > lower, f"must be above lower = {lower:f}"))]


def _limit_lower(value: Decimal | None, known: Known) -> list[str]:
    """No limit, or a price below the lower edge."""
    if value is None:
        return []
    lower = known.get("lower", value + 1)
    return [*_price(value, known), *_failing((value < lower, f"must be below lower = {lower:f}"))]


def _limit_upper(value: Decimal | None, known: Known) -> list[str]:
    """No limit, or a price above the upper edge."""
    if value is None:
        return []
    upper = known.get("upper", value - 1)
    return [*_price(value, known), *_failing((value > upper, f"must be above upper = {upper:f}"))]


def _levels(value: int, known: Known) -> list[str]:  # noqa: ARG001 - the shape of a rule
    """A count that makes a grid."""
    return _failing((MIN_LEVELS <= value <= MAX_LEVELS, f"must lie in {MIN_LEVELS}..{MAX_LEVELS}"))


def _spacing(value: Spacing, known: Known) -> list[str]:
    """A spacing whose narrowest interval is a tick."""
    if not known.keys() >= {"tick", "lower", "upper", "levels"}:
        return []
    narrowest = _narrowest_ticks(*_edges(known), known["levels"], value)
    return _failing(
        (
            narrowest >= 1,
            f"with levels = {known['levels']} the narrowest interval has {narrowest:.3g} ticks; must be at least 1",
        )
    )


def _edges(known: Known) -> tuple[int, int]:
    """Both edges in ticks."""
    return in_ticks(known["lower"], known["tick"]), in_ticks(known["upper"], known["tick"])


def _narrowest_ticks(lower: int, upper: int, levels: int, spacing: Spacing) -> float:
    """Width of the narrowest interval before rounding to ticks."""
    if spacing == "arithmetic":
        return (upper - lower) / levels
    return float(lower * ((upper / lower) ** (1.0 / levels) - 1.0))


def _allocation(value: Decimal, known: Known) -> list[str]:
    """Capital that funds an order at every level."""
    least = from_ticks(known.get("levels", 0), known.get("min_notional", Decimal(0)))
    return _positive(value, known) or _failing((value >= least, f"must be at least levels x min_notional = {least:f}"))


def _fee(value: Decimal, known: Known) -> list[str]:  # noqa: ARG001 - the shape of a rule
    """A fee that an exchange might ask."""
    return _failing((0 <= value <= MAX_FEE_BPS, f"must lie in 0..{MAX_FEE_BPS}"))


def _maker_fee(value: Decimal, known: Known) -> list[str]:
    """A fee that every level's round trip earns back."""
    faults = _fee(value, known)
    if faults or not known.keys() >= {"tick", "lower", "upper", "levels", "spacing"}:
        return faults
    lines = tick_lines(*_edges(known), known["levels"], known["spacing"])
    fee = Fraction(value) / 10_000
    worst = float(min(net_gain(*pair, fee) for pair in pairwise(lines)) * 10_000)
    return _failing((worst > 0, f"leaves {worst:.4g} bps net per round trip at the worst level; must be above 0"))


def _version(value: int, known: Known) -> list[str]:  # noqa: ARG001 - the shape of a rule
    """A count from one on."""
    return _failing((value >= 1, "must be at least 1"))


def _supersedes(value: int | None, known: Known) -> list[str]:
    """The version before."""
    if "version" not in known:
        return []
    before = known["version"] - 1 or None
    return _failing((value == before, f"must be {before} for version = {known['version']}"))


def _words(value: str, known: Known) -> list[str]:  # noqa: ARG001 - the shape of a rule
    """Printable words."""
    return _failing(
        (bool(value.strip()), "must not be blank"),
        (value.isprintable(), "must be printable"),
        (len(value) <= MAX_WORDS, f"must have at most {MAX_WORDS} characters"),
    )


RULES: Final[dict[str, Rule]] = {
    "tick": _positive,
    "lower": _price,
    "upper": _upper,
    "levels": _levels,
    "spacing": _spacing,
    "limit_lower": _limit_lower,
    "limit_upper": _limit_upper,
    "min_notional": _positive,
    "allocation_quote": _allocation,
    "taker_fee_bps": _fee,
    "maker_fee_bps": _maker_fee,
    "version": _version,
    "supersedes": _supersedes,
    "reason": _words,
    "who": _words,
}
