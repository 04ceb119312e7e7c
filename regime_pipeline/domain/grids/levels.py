"""Price lines of a grid in whole ticks, and what a round trip between two lines earns.

Bounds on a configuration and what a discovered range could carry (`capacity`) do not belong here.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, Literal

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
