"""Times of files as epoch milliseconds UTC: numbers by their size, texts by one of the formats in a table.

A time without an offset is refused unless the user, or the column's name, says that it is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.market_data.market import DAY_MS
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.table import FileTable

_SECONDS_BELOW: Final = 10**11
_MILLISECONDS_BELOW: Final = 10**14
_MICROSECONDS_BELOW: Final = 10**17
_LATEST_MS: Final = 4_102_444_800_000
_EXCEL_EPOCH: Final = 25_569
"""1970-01-01 in days as spreadsheets count them."""
_EXCEL_LATEST: Final = 54_789
_ROUNDED_DIGITS: Final = 7
NAIVE_HINT: Final = "If they are UTC, say so with --timezone UTC; otherwise convert them first."
_DATES: Final = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d %b %Y"),
)
_CLOCKS: Final = (
    *("", "%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%I-%p", "%I %p", "%I%p", "%H%M%S", "%H%M"),
)
_SHAPES: Final = tuple(f"{date} {clock}".strip() for date, clock in product(_DATES, _CLOCKS))
"""Every form of a text that is read; the zone is taken off before."""
_MIRRORED: Final = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y"}
_ZONE: Final = re.compile(r"(?P<body>.*?\d(?:\s?[AaPp][Mm])?)\s*(?P<zone>Z|UTC|GMT|(?<=\d)[+-]\d{2}:?\d{2})", re.DOTALL)
_SCIENTIFIC: Final = re.compile(r"\s*(\d+(?:[.,]\d+)?)[eE]\+?\d+\s*")
_SAMPLE: Final = 50


def read_times(table: FileTable, options: ReadOptions, midnight_ms: int | None = None) -> tuple[Int64, bool]:
    """Return the times of a table.

    Parameters
    ----------
    table : FileTable
        Its `time` column holds integers (or integral floats), spreadsheet dates, or texts.
    options : ReadOptions
        `timezone` is `UTC` to read texts without an offset as UTC, empty to refuse them; `dates` orders day and month.
    midnight_ms : int, optional
        Numbers are milliseconds after this moment (LEAN).

    Returns
    -------
    times : ndarray of int64, shape (n,)
        Epoch milliseconds UTC.
    is_naive : bool
        The file itself does not say that they are UTC.

    Raises
    ------
    BadFileError
        A time is unreadable, has no offset, is finer than a millisecond, or not between 1970 and 2100.
    """
    values = table.columns["time"]
    _refuse_rounded(table, values)
    zone = options.timezone or ("UTC" if table.is_zoned else "")
    numbers, is_naive = _as_integers(values), False
    if numbers is not None:
        _refuse_outside(table, numbers, np.iinfo(np.int64).max)
        _refuse_row_numbers(table, numbers)
        days = _calendar_days(numbers) if midnight_ms is None else None
        if days is not None:
            times, is_naive = _zoned(table, days, zone), not table.is_zoned
        else:
            times = numbers + midnight_ms if midnight_ms is not None else _to_milliseconds(table, numbers)
    elif (serial := _spreadsheet_days(values)) is not None:
        times, is_naive = _zoned(table, serial, zone), not table.is_zoned
    else:
        times, is_naive = _from_texts(table, values, zone, options.dates)
    _refuse_outside(table, times, _LATEST_MS)
    return times, is_naive


def _zoned(table: FileTable, times: Int64, zone: str) -> Int64:
    if not zone:
        raise table.refuse(0, f"the time '{table.columns['time'][0]}' has no offset", NAIVE_HINT)
    return times


def _refuse_outside(table: FileTable, numbers: Int64, largest: int) -> None:
    """Refuse numbers that mean no time between 1970 and 2100; negative ones could even wrap around to look sound."""
    is_outside = (numbers < 0) | (numbers > largest)
    if is_outside.any():
        row = int(np.argmax(is_outside))
        text = table.columns["time"][row]
        raise table.refuse(row, f"the time '{text}' is not between 1970 and 2100", "Export the open times of the bars.")


def _refuse_row_numbers(table: FileTable, numbers: Int64) -> None:
    if len(numbers) > 2 and numbers[0] in (0, 1) and (np.diff(numbers) == 1).all():
        raise table.refuse(0, "the column of times counts the rows", "Export the times of the bars too.")


def _refuse_rounded(table: FileTable, values: Sequence[Any]) -> None:
    """Refuse times that a spreadsheet has rounded to a few digits, such as 1.70407E+12."""
    found = [_SCIENTIFIC.fullmatch(value) if isinstance(value, str) else None for value in values[:_SAMPLE]]
    digits = [len(match[1].replace(".", "").replace(",", "")) for match in found if match]
    if digits and max(digits) <= _ROUNDED_DIGITS:
        row = next(at for at, match in enumerate(found) if match)
        raise table.refuse(
            row,
            f"the time '{values[row]}' was rounded by a spreadsheet",
            "Export it again with the column formatted as a number without decimals, or take the original file.",
        )


def _as_integers(values: Any) -> Int64 | None:
    """Return the values as integers, or None if one is not."""
    if not any(isinstance(value, float) for value in values):
        with suppress(ValueError, TypeError, OverflowError):
            return np.fromiter(map(int, values), np.int64, len(values))
    floats = _as_floats(values)
    if floats is None:
        return None
    is_integral = (floats == np.rint(floats)).all() and (abs(floats) < 2**62).all()
    return floats.astype(np.int64) if is_integral else None


def _as_floats(values: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    try:
        floats = np.fromiter(map(float, values), np.float64, len(values))
    except (ValueError, TypeError, OverflowError):
        return None
    return floats if np.isfinite(floats).all() else None


def _calendar_days(numbers: Int64) -> Int64 | None:
    """Return times written as YYYYMMDD or YYYYMMDDHHMMSS, or whole spreadsheet days; None for anything else."""
    if ((numbers >= _EXCEL_EPOCH) & (numbers <= _EXCEL_LATEST)).all():
        return (numbers - _EXCEL_EPOCH) * DAY_MS
    for low, high, shape in (
        (19_700_101, 21_000_101, "%Y%m%d"),
        (19_700_101 * 10**6, 21_000_101 * 10**6, "%Y%m%d%H%M%S"),
    ):
        if ((numbers >= low) & (numbers < high)).all():
            parsed = _parsed([str(number) for number in numbers.tolist()], shape)
            return None if (parsed < 0).any() else parsed
    return None


def _spreadsheet_days(values: Any) -> Int64 | None:
    """Return times that are spreadsheet days with fractions, to the second; None for anything else."""
    floats = _as_floats(values)
    if floats is None or not ((floats >= _EXCEL_EPOCH) & (floats <= _EXCEL_LATEST)).all():
        return None
    return np.asarray(np.rint((floats - _EXCEL_EPOCH) * 86_400), dtype=np.int64) * 1_000


def _to_milliseconds(table: FileTable, numbers: Int64) -> Int64:
    """Scale each number by the unit its size tells."""
    divisor = np.select([numbers < _MILLISECONDS_BELOW, numbers < _MICROSECONDS_BELOW], [1, 1_000], 1_000_000)
    factor = np.where(numbers < _SECONDS_BELOW, 1_000, 1)
    rest = numbers % divisor
    is_last = rest == divisor - 1  # a close time, one unit before the next bar
    if (rest.any() and not is_last.all()) or (is_last.all() and rest.any() and len(numbers) < 2):
        raise table.refuse(
            int(np.argmax(rest != 0)), "the time is finer than a millisecond", "Export the open times of the bars."
        )
    return np.asarray(numbers // divisor * factor, dtype=np.int64)


def _from_texts(table: FileTable, values: Sequence[Any], zone: str, order: str) -> tuple[Int64, bool]:
    """Return texts as times: ISO-8601 cell by cell, any other format for the whole column."""
    times: list[int] = []
    is_naive = False
    try:
        for row, value in enumerate(values):
            moment = datetime.fromisoformat(str(value).strip())
            if moment.tzinfo is None:
                is_naive = True
                moment = _utc(table, row, zone, moment)
            times.append(round(moment.timestamp() * 1000))
    except ValueError:
        return _from_shape(table, values, zone, order)
    except OverflowError:
        raise table.refuse(len(times), f"'{values[len(times)]}' is not a time", "Remove the row.") from None
    if all(re.fullmatch(r"\d+", str(value).strip()) for value in values[:1]):  # not a date: truncated digits
        return _from_shape(table, values, zone, order)
    return np.array(times, dtype=np.int64), is_naive


def _utc(table: FileTable, row: int, zone: str, moment: datetime) -> datetime:
    if not zone:
        raise table.refuse(row, f"the time '{table.columns['time'][row]}' has no offset", NAIVE_HINT)
    return moment.replace(tzinfo=UTC)


def _from_shape(table: FileTable, values: Sequence[Any], zone: str, order: str) -> tuple[Int64, bool]:
    texts = [str(value).strip() for value in values]
    matches = [_ZONE.fullmatch(text) for text in texts]
    bodies = [m["body"].strip().replace("T", " ") if m else text for m, text in zip(matches, texts, strict=True)]
    offsets = np.array([_offset_ms(m["zone"]) if m else 0 for m in matches], dtype=np.int64)
    shape = _shape_of(table, bodies, order)
    parsed = _parsed(bodies, shape) if shape else np.full(len(bodies), -1, np.int64)
    bad = parsed < 0
    if bad.any():
        row = _first_odd(values) if not shape else int(np.argmax(bad))
        todo = "Write epoch milliseconds or ISO-8601 with offset, or remove the row."
        raise table.refuse(row, f"'{values[row]}' is not a time", todo)
    is_naive = not all(matches)
    if is_naive and not zone:
        row = next(at for at, match in enumerate(matches) if not match)
        raise table.refuse(row, f"the time '{values[row]}' has no offset", NAIVE_HINT)
    return parsed - offsets, is_naive


def _offset_ms(zone: str) -> int:
    if zone in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:])) * 60_000


def _first_odd(values: Sequence[Any]) -> int:
    """Return the first cell that is unlike most: no number where most are numbers."""
    is_number = [_as_floats([value]) is not None for value in values]
    return is_number.index(False) if len(is_number) > sum(is_number) > len(is_number) / 2 else 0


def _shape_of(table: FileTable, texts: list[str], order: str) -> str:
    """Return the format of most texts, empty if none fits one."""
    sample = texts[:_SAMPLE]
    scores = {shape: sum(_fits(text, shape) for text in sample) for shape in _SHAPES}
    best = max(scores, key=lambda shape: scores[shape])
    if not scores[best]:
        return ""
    date, _, clock = best.partition(" ")
    mirrored = f"{_MIRRORED.get(date, '')} {clock}".strip()
    if date not in _MIRRORED:
        return best
    counts = [sum(_fits(text, shape) for text in texts) for shape in (best, mirrored)]
    if counts[0] == counts[1] and not order:
        raise table.refuse(0, f"'{texts[0]}' can be read day first or month first", "Say --dates dmy or --dates mdy.")
    is_month_first = order == "mdy" if order else counts[1] > counts[0]
    return mirrored if is_month_first else best


def _fits(text: str, shape: str) -> bool:
    try:
        datetime.strptime(text, shape)  # noqa: DTZ007
    except ValueError:
        return False
    return True


def _parsed(texts: list[str], shape: str) -> Int64:
    """Return texts of one format as epoch milliseconds, -1 where one does not fit it."""
    import pandas as pd  # takes a second to import, and most files do without

    found = pd.to_datetime(pd.Series(texts, dtype=object), format=shape, errors="coerce")
    times = found.to_numpy("M8[ms]")
    return np.where(np.isnat(times), -1, times.astype(np.int64))
