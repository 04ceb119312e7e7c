"""How many digits of a verdict's numbers mean something, for faces that send many of them.

Probabilities and shares have four decimals, scores and ranks two, prices ten significant digits, everything else six.
The unit of a column is what `domain.schema` says of it. What is stored keeps every digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.schema import FEATURES, SCORES, VERDICT_COLUMNS

UNIT_DECIMALS: Final = 4
PERCENT_DECIMALS: Final = 2
PRICE_DIGITS: Final = 10
DIGITS: Final = 6
_MOST_DECIMALS: Final = 22
"""The largest power of ten that a float holds exactly: beyond it a quotient would print digits of its own."""


def _of_unit(unit: str) -> Iterator[str]:
    for column in (*FEATURES, *SCORES, *VERDICT_COLUMNS):
        if column.kind == "float" and unit in column.meaning.replace(";", ",").split(", "):
            yield column.name


_DECIMALS: Final = dict.fromkeys(_of_unit("0..1"), UNIT_DECIMALS) | dict.fromkeys(_of_unit("0..100"), PERCENT_DECIMALS)
_PRICES: Final = frozenset(_of_unit("quote currency"))


def rounded(name: str, values: Any) -> Float64:
    """Return the numbers of a verdict's column with the digits that mean something, any shape; NaN stays NaN.

    Parameters
    ----------
    name : str
        A column of features, scores or verdicts; another has `DIGITS` significant digits.
    values : array_like of float
        Its numbers.
    """
    given = np.asarray(values, dtype=np.float64)
    if name in _DECIMALS:
        return np.round(given, _DECIMALS[name])
    return _significant(given, PRICE_DIGITS if name in _PRICES else DIGITS)


def _significant(values: Float64, digits: int) -> Float64:
    """So many significant digits, all of those before the point in any case."""
    size: NDArray[Any] = np.where(np.isfinite(values) & (values != 0), np.abs(values), 1.0)
    scale = 10.0 ** np.clip(digits - 1 - np.floor(np.log10(size)), 0, _MOST_DECIMALS)
    return np.asarray(np.round(values * scale) / scale, dtype=np.float64)


def rounded_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of verdicts with its numbers rounded; every other column is the same."""
    columns = {
        name: rounded(str(name), frame[name].to_numpy()) if frame[name].dtype.kind == "f" else frame[name].array
        for name in frame
    }
    return pd.DataFrame(columns, copy=False)
