"""Which column of a file is which: by its header, by a known order, or by the user's own list.

Reading the rows does not belong here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from regime_pipeline.domain.errors import UsageError

Layout = Literal["auto", "kucoin", "lean"]
LAYOUTS: Final[tuple[str, ...]] = get_args(Layout)
FIELDS: Final = ("time", "open", "high", "low", "close", "volume")
KUCOIN: Final = ("time", "open", "close", "high", "low", "volume")
_ALIASES: Final = {
    "time": ("open_time", "unix", "timestamp", "time", "datetime", "date"),
    "volume": ("volume", "vol", "base_volume"),
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How the user wants files to be read.

    Parameters
    ----------
    layout : {"auto", "kucoin", "lean"}
        `auto` goes by header, name and form; `kucoin` is time, open, close, high, low, volume, also newest first;
        `lean` counts times from midnight UTC of the day in the file's name.
    columns : tuple of str
        Names of a file's columns in order, `time open high low close volume` and anything else; empty for none.
    timezone : str
        `UTC` to accept times without an offset; empty to refuse them.
    price_scale : int
        Ticks per unit of quote currency; 0 to infer it.
    is_dropping_unaligned : bool
        Leave out bars that do not open on a multiple of the timeframe (after an outage some exchanges shift a few)
        instead of refusing the file; they are counted.

    Raises
    ------
    UsageError
        An option is unknown or incomplete.
    """

    layout: str = "auto"
    columns: tuple[str, ...] = ()
    timezone: str = ""
    price_scale: int = 0
    is_dropping_unaligned: bool = False

    def __post_init__(self) -> None:
        """Refuse options that cannot be meant."""
        if self.layout not in LAYOUTS:
            raise UsageError(f"'{self.layout}' is not a layout.", f"Use one of {', '.join(LAYOUTS)}.")
        if self.timezone not in ("", "UTC"):
            raise UsageError(
                f"Times without an offset cannot be read as '{self.timezone}'.",
                "Only UTC is unambiguous all year; convert the times first, then say --timezone UTC.",
            )
        if self.columns and (absent := [field for field in FIELDS if self.columns.count(field) != 1]):
            raise UsageError(
                f"--columns must name {', '.join(absent)} once.", f"Name {', '.join(FIELDS)}, in file order."
            )
        if self.price_scale < 0:
            raise UsageError(
                f"A price scale of {self.price_scale} is not possible.", "Give the ticks per unit, such as 100."
            )


def is_header(cells: Sequence[str]) -> bool:
    """Return whether the first row of a file names its columns."""
    return "open" in (normalize(cell) for cell in cells)


def normalize(name: str) -> str:
    """Return a column name in lower case with underscores."""
    return name.strip().lower().replace(" ", "_")


def positions_by_name(names: Sequence[str]) -> list[int]:
    """Return the positions of `FIELDS` among a file's column names.

    Raises
    ------
    ValueError
        A field is absent; names it and the columns there are.
    """
    known = [normalize(name) for name in names]
    found = [next((known.index(a) for a in _ALIASES.get(f, (f,)) if a in known), -1) for f in FIELDS]
    absent = [field for field, position in zip(FIELDS, found, strict=True) if position < 0]
    if absent:
        raise ValueError(f"no column for {', '.join(absent)} among {', '.join(names)}")
    return found


def positions_by_order(options: ReadOptions, width: int, *, is_kucoin: bool = False) -> list[int]:
    """Return the positions of `FIELDS` in rows without a header.

    Raises
    ------
    ValueError
        The rows are too narrow.
    """
    order = options.columns or (KUCOIN if is_kucoin or options.layout == "kucoin" else FIELDS)
    positions = [order.index(field) for field in FIELDS]
    if width <= max(positions):
        raise ValueError(f"{width} columns where at least {max(positions) + 1} are needed ({', '.join(order)})")
    return positions
