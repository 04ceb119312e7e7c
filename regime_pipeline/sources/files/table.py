"""Rows of a file before anyone believes them, and the error that names their file and line.

See `checks` for what makes a row a candle, the format's module for how it is parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from regime_pipeline.domain.errors import SourceError

EXTRA_HINT: Final = "Install the optional reader: pip install 'regime-pipeline[parquet]'."


class BadFileError(SourceError):
    """A file cannot be imported; names the file, the line, the reason and the remedy. Nothing was written."""


@dataclass(eq=False)
class Grid:
    """The cells of a file as a format gives them, column by column; nothing is known of their meaning yet.

    Parameters
    ----------
    place : str
        The file, and the member inside an archive.
    unit : str
        What the numbers in `lines` count: `line` of a text, `row` of anything else.
    lines : sequence of int
        Position of each row in the file, from 1.
    columns : list of sequence
        Raw values (texts or numbers), a sequence per column.
    names : list of str
        Names of the columns; empty where the file has none.
    order : tuple of str
        Names that the form itself gives (a vendor's REST reply); empty where it gives none.
    is_spreadsheet : bool
        Separated by semicolons or tabs, as spreadsheets write where the comma is the decimal sign.
    symbols : tuple of str
        What the file calls its market, outside of its columns.
    timeframes : tuple of str
        What the file calls its timeframe, outside of its columns.
    notes : list of str
        Decisions made while reading, one sentence each.
    dropped : dict of str to int
        Rows left out while reading, by kind.
    """

    place: str
    unit: str
    lines: Sequence[int]
    columns: list[Sequence[Any]]
    names: list[str] = field(default_factory=list)
    order: tuple[str, ...] = ()
    is_spreadsheet: bool = False
    symbols: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def keep(self, kept: Sequence[bool], kind: str) -> None:
        """Leave out rows, and count them under a kind."""
        left_out = len(kept) - sum(kept)
        if left_out:
            self.dropped[kind] = self.dropped.get(kind, 0) + left_out
            self.lines = [line for line, is_kept in zip(self.lines, kept, strict=True) if is_kept]
            self.columns = [
                [value for value, is_kept in zip(column, kept, strict=True) if is_kept] for column in self.columns
            ]


@dataclass(frozen=True, eq=False)
class FileTable:
    """The six fields of a candle as a file gives them, unparsed.

    Parameters
    ----------
    grid : Grid
        The file's cells.
    columns : dict
        A sequence of raw values (texts or numbers) for each of `layouts.FIELDS`, all of the same length; the volume may
        be absent.
    names : dict of str to str
        What the file calls each field.
    is_zoned : bool
        The name of the time column says that times are UTC.
    """

    grid: Grid
    columns: dict[str, Sequence[Any]]
    names: dict[str, str]
    is_zoned: bool = False

    @property
    def place(self) -> str:
        """The file, and the member inside an archive."""
        return self.grid.place

    def where(self, row: int) -> str:
        """Return `FILE line 12` for a row."""
        return f"{self.place} {self.grid.unit} {self.grid.lines[row]}"

    def refuse(self, row: int, reason: str, todo: str) -> BadFileError:
        """Return the error about a row."""
        return BadFileError(f"{self.where(row)}: {reason}.", todo)
