"""Rows of a file before anyone believes them, and the error that names their file and line.

What makes a row a candle stands in `checks`; how a format is parsed stands in the format's module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.sources.files.layouts import FIELDS

EXTRA_HINT: Final = "Install the optional reader: pip install 'regime-pipeline[parquet]'."


class BadFileError(SourceError):
    """A file cannot be imported; names the file, the line, the reason and the remedy. Nothing was written."""


@dataclass(frozen=True, eq=False)
class FileTable:
    """The six fields of a candle as a file gives them, unparsed.

    Parameters
    ----------
    place : str
        The file, and the member inside an archive.
    unit : str
        What the numbers in `lines` count: `line` of a text, `row` of anything else.
    lines : sequence of int
        Position of each row in the file, from 1.
    columns : dict
        A sequence of raw values (texts or numbers) for each of `layouts.FIELDS`, all of the same length.
    is_newest_first : bool
        The format is known to list the newest candle first.
    """

    place: str
    unit: str
    lines: Sequence[int]
    columns: dict[str, Sequence[Any]]
    is_newest_first: bool = False

    def where(self, row: int) -> str:
        """Return `FILE line 12` for a row."""
        return f"{self.place} {self.unit} {self.lines[row]}"

    def refuse(self, row: int, reason: str, todo: str) -> BadFileError:
        """Return the error about a row."""
        return BadFileError(f"{self.where(row)}: {reason}.", todo)


def pick_columns(rows: Sequence[Sequence[Any]], positions: Sequence[int]) -> dict[str, Sequence[Any]]:
    """Return the columns at the positions of `layouts.FIELDS`."""
    return {field: [row[at] for row in rows] for field, at in zip(FIELDS, positions, strict=True)}
