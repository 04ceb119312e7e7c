"""Tables as the templates print them: cells, transition matrices, how long states last.

See `domain.spells` for the counts, `templates/macros.html` for the markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from regime_pipeline.dashboard.components.sparklines import Sparkline
from regime_pipeline.dashboard.formatting import NOTHING, duration, name, number, percent
from regime_pipeline.domain.spells import StateDwell

Form = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text, small : str
        As printed; `small` beside it in small print.
    path : str
        Place of the figure in the document that holds it exactly, keys joined by `/`; empty where there is none.
    value : float, int or None
        The figure itself, every digit.
    share : float or None
        0..1, how high the cell is tinted.
    mark : str
        State whose colour stands before the text; empty for none.
    strip : Sparkline or None
        A picture in place of the text.
    """

    text: str
    small: str = ""
    path: str = ""
    value: float | int | None = None
    share: float | None = None
    mark: str = ""
    strip: Sparkline | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption and a line on how to read it; the first cell of each row is its header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    is_wide: bool = False


def figure(path: str, value: float | None, form: Form, share: float | None = None, small: str = "") -> Cell:
    """Return a figure's cell; a dash where there is none."""
    return Cell(NOTHING if value is None else form(value), small, path, value, share)


def said(text: str, mark: str = "") -> Cell:
    """Return a cell of words."""
    return Cell(text, mark=mark)


def count(value: float) -> str:
    """Print a whole number with separators of thousands."""
    return number(value, 0)


def moves_table(caption: str, counts: Mapping[str, Mapping[str, int]], path: str = "", note: str = "") -> Table:
    """Return a transition matrix: counts by origin and target, each with its share of the row.

    Parameters
    ----------
    caption, note : str
        As printed.
    counts : mapping of str to mapping of str to int
        The same states, in the same order, as origins and as targets.
    path : str
        Place of `counts` in the document that holds them; empty where there is none.
    """
    rows = []
    for origin, found in counts.items():
        total = sum(found.values())
        cells = []
        for to, hours in found.items():
            share = hours / total if total else None
            place = f"{path}/{origin}/{to}" if path else ""
            cells.append(Cell(count(hours), percent(share), place, hours, share))
        rows.append([said(name(origin), origin), *cells])
    return Table(caption, ["from ↓ to →", *map(name, counts)], rows, note)


def dwell_table(
    caption: str, states: Sequence[StateDwell], path: Callable[[str, str], str] = lambda *_: "", note: str = ""
) -> Table:
    """Return how much and how long each state was there.

    Parameters
    ----------
    caption, note : str
        As printed.
    states : sequence of StateDwell
        In the order of the rows.
    path : callable
        Gives the place of a state's `share` and fields (of `Dwell`) in the document that holds them.
    """
    forms: dict[str, Form] = {
        "spells": count, "median_hours": duration, "mean_hours": duration, "longest_hours": duration
    }  # fmt: skip
    rows = [
        [
            said(name(state.name), state.name),
            figure(path(state.name, "share"), state.share, percent),
            *(figure(path(state.name, field), getattr(state.dwell, field), form) for field, form in forms.items()),
        ]
        for state in states
    ]
    return Table(caption, ["state", "share", "runs", "median", "mean", "longest"], rows, note)
