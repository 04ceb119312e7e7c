"""Which column of one file is which: by its names, by the order of a known form, or by the user's own list.

See `layouts` for the names and orders themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.layouts import (
    BINANCE,
    BITMEX,
    CAPITALS,
    CLOSE_STAMPS,
    CLOSED_FLAGS,
    FIELDS,
    HTX,
    KUCOIN,
    LETTERS,
    NAMES,
    OKX,
    PRICES,
    QUOTE_VOLUMES,
    SYMBOL_NAMES,
    TICK_VOLUMES,
    TIMEFRAME_NAMES,
    UNNAMED,
    ZONED,
    ReadOptions,
    field_of,
    normalize,
)
from regime_pipeline.sources.files.names import refuse_other_market, refuse_other_timeframe
from regime_pipeline.sources.files.numbers import has_absent, is_absent
from regime_pipeline.sources.files.table import BadFileError, FileTable, Grid

_DAY: Final = re.compile(r"\s*(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}|(?:19|20)\d{6})\s*")
_CLOCK: Final = re.compile(
    r"\s*(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?\s*|\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[AaPp][Mm])?\s*"
)
_ZEROS: Final = frozenset({"0", "0.0", "0.00"})
_SAMPLE: Final = 200
_SMALLEST_CONTRACT: Final = 1e-4
_STEADY: Final = 0.1
NO_VOLUME: Final = "Say --volume none to import it without volume (it is stored as 0)."


def choose_columns(grid: Grid, market: Market, options: ReadOptions) -> FileTable:
    """Return the six fields of a file.

    Raises
    ------
    BadFileError
        A field is absent or there twice, the user's list contradicts the header, or the file names another market.
    """
    names = _plain_names(grid.names)
    if options.columns:
        names = _named_by_user(grid, names, options)
    elif not names:
        names = list(_known_order(grid, options))
    _join_day_and_clock(grid, names)
    _drop_absent(grid, names)
    _check_market(grid, names, market)
    chosen = {field: _position(grid, names, field) for field in FIELDS[:5]}
    if options.volume != "none":
        chosen["volume"] = _volume_position(grid, names, market, options)
    shown = list(map(str, grid.names)) if grid.names else names
    table = FileTable(
        grid,
        {field: grid.columns[at] for field, at in chosen.items()},
        {field: shown[at] for field, at in chosen.items()},
        bool(ZONED.fullmatch(names[chosen["time"]])) and "offset" not in names[chosen["time"]],
    )
    _refuse_close_stamps(table, names, options)
    return table


def _plain_names(names: Sequence[str]) -> list[str]:
    """Return normalized names; single letters mean something beside o, h, l and c only, and there by their case."""
    plain = [normalize(name) for name in names]
    if not {"o", "h", "l", "c"} <= set(plain):
        return [f"column_{name}" if len(name) == 1 else name for name in plain]
    is_twin = [str(name).isupper() and len(name) == 1 and name.lower() in names for name in names]
    return [
        CAPITALS.get(name, f"column_{name}") if is_capital else LETTERS.get(known, known)
        for name, known, is_capital in zip(names, plain, is_twin, strict=True)
    ]


def columns_hint(names: Sequence[str]) -> str:
    """Return an option that names every column of this file, what is not known as `other`."""
    known = [field_of(name) or "other" for name in names] or list(FIELDS)
    return f"Name the columns in order, for example --columns {','.join(known)}."


def _named_by_user(grid: Grid, names: list[str], options: ReadOptions) -> list[str]:
    """Return the user's list, which must have the file's width and agree with its header."""
    given = [normalize(name) for name in options.columns]
    if len(given) != len(grid.columns):
        raise BadFileError(
            f"{grid.place} has {len(grid.columns)} columns, --columns names {len(given)}.",
            f"Leave --columns out: the header names them ({', '.join(map(str, grid.names))})."
            if {*PRICES} <= {field_of(name) for name in names}
            else f"Name all {len(grid.columns)}, what is not needed by any name.",
        )
    for header, name in zip(names, given, strict=False):
        field = field_of(header)
        is_known = bool(field) or header in ("vwap", "count", "trades", *QUOTE_VOLUMES, *CLOSE_STAMPS)
        is_doubled = names.count(header) > 1
        if name in FIELDS and is_known and field != name and not is_doubled:
            raise BadFileError(
                f"{grid.place}: --columns says {name} where the header says {header}.",
                "Leave --columns out, or correct the file's header.",
            )
    return given


def _known_order(grid: Grid, options: ReadOptions) -> tuple[str, ...]:
    """Return the names of columns without a header."""
    width = len(grid.columns)
    order: tuple[str, ...] = grid.order or (KUCOIN if options.layout == "kucoin" else FIELDS)
    first = [str(column[0]) for column in grid.columns[:2]]
    if len(first) > 1 and _DAY.fullmatch(first[0]) and _CLOCK.fullmatch(first[1]):
        order = ("date", *order)
        order = ("date", "time", *order[2:])
    elif width == len(BINANCE) and order == FIELDS:
        order = BINANCE
    return (*order, *(f"column_{at + 1}" for at in range(len(order), width)))[:width]


def _join_day_and_clock(grid: Grid, names: list[str]) -> None:
    """Make one column of a day and a time of day, under the name `time`."""
    days = [at for at, name in enumerate(names) if name in ("date", "dtyyyymmdd")]
    if not days or "time" not in names:
        return
    day, clock = days[0], names.index("time")
    if _all(grid.columns[day], _DAY) and _all(grid.columns[clock], _CLOCK):
        pairs = zip(grid.columns[day], grid.columns[clock], strict=True)
        grid.columns[clock] = [f"{str(date).strip()} {str(time).strip()}" for date, time in pairs]
        names[day] = "day"
        grid.notes.append("date and time are joined")


def _all(column: Sequence[Any], shape: re.Pattern[str]) -> bool:
    return all(shape.fullmatch(str(value)) for value in column[:_SAMPLE])


def _drop_absent(grid: Grid, names: list[str]) -> None:
    """Leave out rows without any price, and bars that the file itself marks as not closed."""
    prices = [grid.columns[at] for at, name in enumerate(names) if field_of(name) in PRICES][:4]
    if len(prices) == len(PRICES) and has_absent(prices[0]):
        grid.keep([not all(map(is_absent, row)) for row in zip(*prices, strict=True)], "without a price")
    flags = [at for at, name in enumerate(names) if name in CLOSED_FLAGS]
    if flags:
        grid.keep([str(value).strip().lower() not in ("0", "false") for value in grid.columns[flags[0]]], "unfinished")
    if not len(grid.lines):
        raise BadFileError(f"{grid.place} has no row with a price.", "Fetch or export it again.")


def _check_market(grid: Grid, names: list[str], market: Market) -> None:
    for at, name in enumerate(names):
        if name in SYMBOL_NAMES:
            refuse_other_market(
                grid.place, {str(value) for value in grid.columns[at] if isinstance(value, str)}, market
            )
        if name in TIMEFRAME_NAMES:
            refuse_other_timeframe(grid.place, {str(value) for value in grid.columns[at]}, market)
    refuse_other_timeframe(grid.place, grid.timeframes, market)
    for text in grid.symbols:
        refuse_other_market(grid.place, [text], market)


def _position(grid: Grid, names: list[str], field: str) -> int:
    """Return the position of a field.

    Raises
    ------
    BadFileError
        It is absent or there twice; names the columns there are.
    """
    known = NAMES[field]
    found = sorted((at for at, name in enumerate(names) if name in known), key=lambda at: known.index(names[at]))
    if field == "time" and not found:
        found = [at for at, name in enumerate(names) if ZONED.fullmatch(name) and "offset" not in name]
        found = found or [at for at, name in enumerate(names) if name in UNNAMED]
        found = found or ([names.index("id")] if set(names) >= HTX else [])
        found = found or [at for at, name in enumerate(names) if name in CLOSE_STAMPS]
    if not found:
        shown = ", ".join(map(str, grid.names)) or f"{len(grid.columns)} columns"
        raise BadFileError(f"{grid.place}: no column for {field} among {shown}.", columns_hint(names))
    if [names[at] for at in found].count(names[found[0]]) > 1:
        raise _doubled(grid, names, names[found[0]])
    if field in PRICES and len(found) > 1 and not (field == "close" and names[found[0]] == "close"):
        raise BadFileError(
            f"{grid.place} has several columns for {field}: {', '.join(names[at] for at in found)}.",
            columns_hint(names),
        )
    return found[0]


def _doubled(grid: Grid, names: list[str], name: str) -> BadFileError:
    kept = len(names) - 1 - names[::-1].index(name)
    listed = [("other" if n == name and at != kept else field_of(n) or "other") for at, n in enumerate(names)]
    return BadFileError(
        f"{grid.place}: its header names {name} twice.",
        f"Say which one is meant, for example the last one: --columns {','.join(listed)}.",
    )


def _volume_position(grid: Grid, names: list[str], market: Market, options: ReadOptions) -> int:
    """Return the position of the base volume, which prices and quote volume must agree with."""
    base, quote = (normalize(part) for part in market.symbol.split("-")[:2])
    if options.volume:
        wanted = normalize(options.volume)
        if names.count(wanted) != 1:
            raise BadFileError(f"{grid.place} has no single column {options.volume}.", f"It has {', '.join(names)}.")
        return names.index(wanted)
    for name, is_meant in (
        ("amount", set(names) >= HTX),  # its vol is the quote volume
        ("vol_ccy", grid.order == OKX and market.symbol.endswith("-PERP")),  # its vol counts contracts there
        (f"volume_{base}", f"volume_{base}" in names),
    ):
        if is_meant:
            return names.index(name)
    found = [at for known in NAMES["volume"] for at, name in enumerate(names) if name == known]
    if not found:
        shown = ", ".join(map(str, grid.names)) or f"{len(grid.columns)} columns"
        others = [name for name in names if "vol" in name or name in QUOTE_VOLUMES]
        choice = f" Or name it: --volume {others[0]}." if others else ""
        raise BadFileError(f"{grid.place}: no column for volume among {shown}.", NO_VOLUME + choice)
    if [names[at] for at in found].count(names[found[0]]) > 1:
        raise _doubled(grid, names, names[found[0]])
    _refuse_empty_volume(grid, names, found[0])
    quoted = [at for at, name in enumerate(names) if name in (*QUOTE_VOLUMES, f"volume_{quote}")]
    is_checked = bool(grid.names) or len(names) == len(BINANCE)
    if quoted and is_checked and names[found[0]] in ("volume", "vol", "v"):
        return _by_prices(grid, names, found[0], quoted[0])
    return found[0]


def _refuse_empty_volume(grid: Grid, names: list[str], chosen: int) -> None:
    """Refuse a volume that is 0 in every row where another column counts something: terminals write both."""
    others = [at for at, name in enumerate(names) if name in TICK_VOLUMES]
    if (
        others
        and set(map(str, grid.columns[chosen])) <= _ZEROS
        and not set(map(str, grid.columns[others[0]])) <= _ZEROS
    ):
        raise BadFileError(
            f"{grid.place}: the volume {grid.names[chosen]} is 0 in every row, {grid.names[others[0]]} is not.",
            f"Say --volume {names[others[0]]} to count price changes for volume, or --volume none.",
        )


def _by_prices(grid: Grid, names: list[str], volume: int, other: int) -> int:
    """Return which of two volumes is in base currency: the other one divided by it is a price."""
    close = next(at for at, name in enumerate(names) if field_of(name) == "close")
    try:
        every = max(len(grid.lines) // _SAMPLE, 1)
        columns = [np.fromiter(map(float, grid.columns[at][::every]), np.float64) for at in (volume, other, close)]
    except (TypeError, ValueError, OverflowError):
        return volume
    first, second, price = (column[(columns[0] > 0) & (columns[1] > 0)] for column in columns)
    if not len(price):
        return volume
    with np.errstate(all="ignore"):
        is_base, is_quote = (0.5 < float(np.median(ratio / price)) < 2 for ratio in (second / first, first / second))
    if is_base:
        return volume
    if is_quote:
        grid.notes.append(f"{names[other]} is the base volume: {names[volume]} divided by it is the price")
        return other
    if not _is_counting(first / second / price) and not _is_counting(second / first / price):
        return volume
    raise BadFileError(
        f"{grid.place}: neither {names[volume]} nor {names[other]} is the other times the price, as with contracts.",
        f"Say which one is in base currency: --volume {names[other]} or --volume {names[volume]}.",
    )


def _is_counting(factor: Float64) -> bool:
    """Return whether one volume is the other one times the price times a constant: contracts of one size."""
    middle = float(np.median(factor))
    return _SMALLEST_CONTRACT < middle < 1 / _SMALLEST_CONTRACT and float(np.std(factor)) < _STEADY * middle


def _refuse_close_stamps(table: FileTable, names: list[str], options: ReadOptions) -> None:
    if options.stamps:
        return
    if normalize(table.names["time"]) in CLOSE_STAMPS:
        raise BadFileError(
            f"{table.place}: {table.names['time']} is when a bar closes.",
            "Say --stamps close; the open time is taken from it.",
        )
    if set(names) >= BITMEX:
        raise BadFileError(
            f"{table.place} has BitMEX's columns, and BitMEX stamps a bar with its close.",
            "Say --stamps close, or --stamps open if the times were moved to the open.",
        )
