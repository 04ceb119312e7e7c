"""Numbers as people write them: thousands, decimal commas, K and M, and the first cell that is none.

See `checks` for what a number means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.sources.files.layouts import PRICES, ReadOptions
from regime_pipeline.sources.files.table import BadFileError, FileTable

REPAIR: Final = "Fetch or export the file again, or remove the row."
_ENGLISH: Final = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SURE_ENGLISH: Final = re.compile(r"[-+]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
_COMMA: Final = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_POINTS: Final = re.compile(r"[-+]?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?")
_THREE: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_SUFFIXES: Final = {"K": 1e3, "M": 1e6, "B": 1e9}
_TRIMMED: Final = " \t\u00a0\u202f$€£\"'"
_ABSENT: Final = frozenset({"", "nan", "null", "none", "na", "n/a", "-", "--"})
_ABSENT_SPELLED: Final = frozenset({None, " ", "NaN", "NAN", "NULL", "Null", "None", "NA", "N/A", *_ABSENT})
_DECIMAL_TODO: Final = "If the comma is the decimal sign, say --decimal , ; if it separates thousands, --decimal . "


def is_absent(value: Any) -> bool:
    """Return whether a cell says that there is no value."""
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in _ABSENT)


def has_absent(column: Sequence[Any]) -> bool:
    """Return whether any cell of a column says that there is no value; quick where most are texts."""
    if column and all(isinstance(value, float) for value in column[:1]):
        return any(map(is_absent, column))
    try:
        return not _ABSENT_SPELLED.isdisjoint(column)
    except TypeError:  # a list or record where a number should be
        return any(map(is_absent, column))


def read_numbers(table: FileTable, field: str, options: ReadOptions) -> Float64:
    """Return a column as floats.

    Raises
    ------
    BadFileError
        A cell is not a number, or can be read in two ways; names the first one.
    """
    column = table.columns[field]
    if options.decimal != ",":
        try:
            return np.fromiter(map(float, column), np.float64, len(column))
        except (TypeError, ValueError, OverflowError):
            pass
    decimal = options.decimal or _decimal_of(table, field)
    values = np.empty(len(column))
    for row, cell in enumerate(column):
        value = _number(cell, decimal)
        if value is None:
            reason = (
                f"{field} is absent" if is_absent(cell) and cell is not None else f"{field} '{cell}' is not a number"
            )
            reason = f"{field} '{cell}' is not a number" if isinstance(cell, str) or cell is None else reason
            raise table.refuse(row, reason, REPAIR)
        values[row] = value
    return values


def _number(cell: Any, decimal: str) -> float | None:
    """Return a cell's number, None if it is none."""
    text = str(cell).strip(_TRIMMED)
    factor = _SUFFIXES.get(text[-1:].upper(), 1.0)
    text = text[:-1] if factor != 1.0 else text
    if decimal == ",":
        text = text.replace(".", "").replace(",", ".") if _COMMA.fullmatch(text) or _is_grouped(text) else text
    elif _ENGLISH.fullmatch(text):
        text = text.replace(",", "")
    try:
        return float(text) * factor
    except ValueError:
        return None


def _is_grouped(text: str) -> bool:
    """Return whether points can only separate thousands."""
    return _THREE.fullmatch(text) is not None or _POINTS.fullmatch(text) is not None


def _decimal_of(table: FileTable, field: str) -> str:
    """Return the decimal sign that the file's own numbers prove; raises where a comma can be either."""
    cells = [str(cell).strip(_TRIMMED) for name in (*PRICES, "volume") for cell in table.columns.get(name, ())]
    if any(_SURE_ENGLISH.fullmatch(cell) for cell in cells):
        return "."
    column = [str(cell).strip(_TRIMMED) for cell in table.columns[field]]
    row = next((at for at, cell in enumerate(column) if _COMMA.fullmatch(cell) or _POINTS.fullmatch(cell)), None)
    if row is None:
        return "."
    what = f"{field} '{table.columns[field][row]}' has a decimal comma, or a comma between thousands"
    needs_zone = " (and --timezone UTC where the times have no offset)" if not table.is_zoned else ""
    raise table.refuse(row, what, _DECIMAL_TODO.strip() + needs_zone + ".")


def refuse_thousands_points(table: FileTable, options: ReadOptions) -> None:
    """Refuse prices that all have exactly three decimals beside semicolons: 42.000 may be forty-two thousand.

    Raises
    ------
    BadFileError
        So it is, and `--decimal` does not say which.
    """
    if options.decimal or not table.grid.is_spreadsheet:
        return
    if all(isinstance(cell, str) and _THREE.fullmatch(cell.strip()) for name in PRICES for cell in table.columns[name]):
        cell = table.columns["open"][0]
        raise BadFileError(
            f"{table.where(0)}: every price has exactly three decimals: the point in '{cell}' may separate thousands.",
            f"Say --decimal , if '{cell}' means {cell.replace('.', '')}, --decimal . if it means {float(cell)}.",
        )
