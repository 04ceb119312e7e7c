"""Whole numbers as short printable text: differences to the previous number, small ones in one character.

`static/codec.js` reads the same text; see `payload` for what the numbers are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64

ALPHABET: Final = "".join(chr(code) for code in range(0x23, 0x7F) if chr(code) not in "<\\")
"""Printable characters that need no escape in a script or in JSON; `!` is kept for "missing"."""
LAST: Final = 60
"""The first 60 characters end a number; the others say that more of it follows, least significant digit first."""
MISSING: Final = "!"
REST: Final = " "
"""Parts the numbers' remainders (modulo `LAST`) from what is above them, where most numbers have something above."""
_MORE: Final = len(ALPHABET) - LAST


def pack(values: NDArray[Any]) -> str:
    """Return numbers as text.

    Parameters
    ----------
    values : ndarray of float64 or integers, shape (n,)
        Whole numbers below 2**52 in size; NaN is missing and stays so.

    Returns
    -------
    str
        One to a few characters a number, ASCII, free of double quotes, backslashes and `<`.
    """
    numbers = np.asarray(values, dtype=np.float64)
    is_there = ~np.isnan(numbers)
    steps = np.diff(numbers[is_there].astype(np.int64), prepend=0)
    folded = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    if len(folded) and np.median(folded) >= 2 * LAST:
        return _text(folded % LAST, is_there) + REST + "".join(_digits((folded // LAST).tolist()))
    return _text(folded, is_there)


def pack_counts(values: NDArray[np.int64]) -> str:
    """Return whole numbers that are not negative as text, each as it is; see `pack` for numbers near each other."""
    return "".join(_digits(values.tolist()))


def _text(numbers: NDArray[np.int64], is_there: NDArray[np.bool_]) -> str:
    """Numbers where they are there, and the mark of those that are missing."""
    digits = iter(_digits(numbers.tolist()))
    return "".join(next(digits) if there else MISSING for there in is_there.tolist())


def _digits(numbers: Iterable[int]) -> Iterable[str]:
    """Text of each number."""
    for number in numbers:
        rest, text = number, ""
        while rest >= LAST:
            text += ALPHABET[LAST + rest % _MORE]
            rest //= _MORE
        yield text + ALPHABET[rest]


def printed(values: Float64, decimals: int) -> Float64:
    """Return values in units of the last decimal, rounded as printing rounds them (half to even of the exact value).

    Pages print some numbers and hold others in payloads; so both always say the same. NaN stays.
    """
    texts = (f"{value:.{decimals}f}" for value in values.tolist())
    return np.array([np.nan if text == "nan" else int(text.replace(".", "")) for text in texts])
