"""Cells and tables of the page: a figure, where it stands in report.json, and how it is printed.

Which tables there are is decided in `page_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from regime_pipeline.services.backtest.svg import Svg

NONE: Final = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text : str
        As printed.
    path : str
        Place of the figure in report.json, keys joined by `/`; empty for words.
    value : float, int or None
        The figure itself, every digit.
    shade : int
        0 to 9, how strongly the cell is tinted.
    verdict : str
        Whose colour mark stands before the text; empty for none.
    """

    text: str
    path: str = ""
    value: float | int | None = None
    shade: int = 0
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption; the first cell of each row is its header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart or a table; a chart has a heading and a sentence that says how to read it, a table its caption.

    `columns` of the page's six are as wide as it.
    """

    title: str = ""
    text: str = ""
    chart: Svg | None = None
    table: Table | None = None
    columns: int = 3


Form = Callable[[float], str]


def count(value: float) -> str:
    """`1,234`."""
    return f"{value:,.0f}"


def share(value: float) -> str:
    """0..1 as `41.7 %`."""
    return f"{100.0 * value:.1f} %"


def unit(value: float) -> str:
    """0..1 as `0.42`."""
    return f"{value:.2f}"


def hours(value: float) -> str:
    """`31.1 h`."""
    return f"{value:,.1f} h"


def ratio(value: float) -> str:
    """`1.9`."""
    return f"{value:,.1f}"


def signed(value: float) -> str:
    """`+1.2`; never `-0.0`."""
    text = f"{value:+,.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def percent(value: float) -> str:
    """Per cent as `+1.2 %`."""
    return f"{signed(value)} %"


def figure(path: str, value: float | None, form: Form, shade: int = 0) -> Cell:
    """Return a figure's cell; a dash where there is none."""
    return Cell(NONE, path) if value is None else Cell(form(value), path, value, shade)


def words(text: str, verdict: str = "") -> Cell:
    """Return a cell of words, with a verdict's colour mark if wanted."""
    return Cell(text, verdict=verdict)
