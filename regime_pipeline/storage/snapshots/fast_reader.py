"""Candles of thousands of snapshot files at once: a short cut past strict reading for files of our own form.

It accepts nothing that `validation` would refuse for its bars; whatever looks unusual goes there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from regime_pipeline.domain.errors import BadCandlesError, BadSnapshotError, UsageError
from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, join_candles
from regime_pipeline.domain.market_data.window import hour_of_close, to_iso, to_ms
from regime_pipeline.storage.snapshots.backends import revision_name, stem_of
from regime_pipeline.storage.snapshots.codec import candles_of_columns, columns_of, hash_of
from regime_pipeline.storage.snapshots.day_files import BROKEN, DAY_REVISION, HOURS, Day, HourOfDay, bytes_of, day_name
from regime_pipeline.storage.snapshots.schema import DEFAULT_PRICE_SCALE, SCHEMA_VERSION
from regime_pipeline.storage.snapshots.validation import REMEDY, decode

_DAY_REMEDY: Final = "Restore the file, or delete it and materialize the day again."


class StoredSnapshot(NamedTuple):
    """A snapshot as found: whose it must be, by its path, and its bytes or its place in the file of its day."""

    market: Market
    hour_start_ms: int
    hour_start: str
    stem: str
    revision: int
    data: bytes | HourOfDay

    @property
    def name(self) -> str:
        """Where it stands, as errors name it."""
        if isinstance(self.data, HourOfDay):
            return f"{day_name(self.stem)}, hour {self.data.hour}"
        return revision_name(self.stem, self.revision)

    def encoded(self) -> bytes:
        """Return the bytes of the hour's file, whether it has one or is part of its day's."""
        return bytes_of(self.data)

    def decode(self) -> HourSnapshot:
        """Read the file strictly.

        Raises
        ------
        BadSnapshotError
            The file is damaged (every fault is named) or lies in the place of another hour or market.
        """
        data = self.encoded()
        if isinstance(self.data, HourOfDay) and not data:
            raise BadSnapshotError(
                f"{self.name}: the day's file is damaged, its hash or its form is wrong.", _DAY_REMEDY
            )
        snapshot = decode(data, self.name)
        if (snapshot.market, snapshot.hour_start_ms) != (self.market, self.hour_start_ms):
            raise BadSnapshotError(f"{self.name}: holds {snapshot}, not {self.market} {self.hour_start}.", REMEDY)
        return snapshot

    def document(self) -> dict[str, Any] | None:
        """Return the hour's JSON if the hash of its file and its place are right; else None."""
        with contextlib.suppress(*BROKEN):
            if isinstance(self.data, HourOfDay):
                document = self.data.day.document(self.data.hour)
                is_sound = True
            else:
                document, is_sound = _unsealed(self.data)
            is_mine = is_of(document, self.market) and document["hour_start"] == self.hour_start
            return document if is_sound and is_mine else None
        return None

    def collected_at_ms(self) -> int:
        """Return when the bars were collected, epoch milliseconds UTC.

        Raises
        ------
        BadSnapshotError
            As in `decode`.
        """
        document = self.document()
        stated = document["metadata"]["collected_at"] if document else None  # the one field that no hash covers
        if isinstance(stated, str):
            with contextlib.suppress(UsageError):
                return to_ms(stated)
        return self.decode().collected_at_ms


class StoredDay(NamedTuple):
    """A day's file as found: whose and of which day it must be, by its path."""

    market: Market
    start_ms: int
    day: Day

    def is_in_its_place(self) -> bool:
        """Tell whether the file is sound, and that of this market and day."""
        with contextlib.suppress(*BROKEN):
            return is_of(self.day.header, self.market) and self.day.header["day"] == to_iso(self.start_ms)[:10]
        return False

    def hours(self) -> list[int]:
        """Return the start of each bar's hour, epoch milliseconds UTC."""
        starts = [self.start_ms + int(hour) * HOUR_MS for hour in self.day.header["hours"]]
        return [start for start, count in zip(starts, self.day.counts, strict=True) for _ in range(count)]

    def snapshots(self) -> list[StoredSnapshot]:
        """Return its hours one by one."""
        found = []
        for number, hour in enumerate(HOURS):
            if self.day.says(hour):
                start_ms = self.start_ms + number * HOUR_MS
                start, part = to_iso(start_ms), HourOfDay(self.day, hour)
                stem = stem_of(self.market, start)
                found.append(StoredSnapshot(self.market, start_ms, start, stem, DAY_REVISION, part))
        return found


def is_of(content: Mapping[str, Any], market: Market) -> bool:
    """Tell whether a document is a market's, of the schema of today."""
    named = (content["schema_version"], content["symbol"], content["timeframe"])
    return bool(named == (SCHEMA_VERSION, market.symbol, market.timeframe))


def _unsealed(data: bytes) -> tuple[dict[str, Any], bool]:
    """Return the document of an hour's file, and whether its hash is right."""
    document: dict[str, Any] = orjson.loads(data)
    metadata = document["metadata"]
    stated = metadata.pop("sha256")
    collected_at = metadata.pop("collected_at")
    is_sound = hash_of(document) == stated
    metadata["collected_at"] = collected_at
    return document, is_sound


def candles_of_files(market: Market, files: Sequence[StoredSnapshot | StoredDay]) -> Candles:
    """Return the candles of a market's snapshots, given in order of their hours and days.

    Raises
    ------
    BadSnapshotError
        A file is damaged or lies in another's place.
    """
    parts = [_candles_of_run(market, list(run)) for _, run in groupby(files, type)]
    if not parts:
        return Candles.empty(market, DEFAULT_PRICE_SCALE)
    return join_candles(parts) if len(parts) > 1 else parts[0]


def _candles_of_run(market: Market, run: Sequence[StoredSnapshot | StoredDay]) -> Candles:
    days = [file for file in run if isinstance(file, StoredDay)]
    hours = [file for file in run if isinstance(file, StoredSnapshot)]
    return _candles_of_days(market, days) if days else _candles_of_hours(market, hours)


def _candles_of_days(market: Market, days: Sequence[StoredDay]) -> Candles:
    """Return the candles of days whose files are sound at first sight and share one price scale, or read strictly."""
    scales = {day.day.header["price_scale"] for day in days if day.is_in_its_place()}
    if all(day.is_in_its_place() for day in days) and len(scales) == 1 and type(scale := scales.pop()) is int:
        columns = [np.concatenate(parts) for parts in zip(*(day.day.columns for day in days), strict=True)]
        with contextlib.suppress(*BROKEN, BadCandlesError):
            candles = Candles(market, scale, *columns)
            hours = np.array([hour for day in days for hour in day.hours()], dtype=np.int64)
            if scale >= 1 and np.array_equal(hour_of_close(market, candles.open_time_ms), hours):
                return candles
    return _candles_of_hours(market, [hour for day in days for hour in day.snapshots()])


def _candles_of_hours(market: Market, files: Sequence[StoredSnapshot]) -> Candles:
    candles = _candles_as_written(market, files)
    return join_candles([file.decode().bars for file in files]) if candles is None else candles


def _candles_as_written(market: Market, files: Sequence[StoredSnapshot]) -> Candles | None:
    """Return the candles if every file is sound at first sight and all share one price scale; else None."""
    columns: list[list[Any]] = [[] for _ in COLUMNS]
    counts: list[int] = []
    scales: set[int] = set()
    try:
        for file in files:
            document = file.document()
            if document is None:
                return None
            for column, values in zip(columns, columns_of(document["bars"]), strict=True):
                column.extend(values)
            counts.append(len(document["bars"]))
            scales.add(document.get("price_scale", DEFAULT_PRICE_SCALE))
        (scale,) = scales
        candles = candles_of_columns(market, scale, columns)
    except (ValueError, TypeError, KeyError, BadCandlesError):
        return None
    if type(scale) is not int or scale < 1:
        return None
    hours = np.repeat([file.hour_start_ms for file in files], counts)
    return candles if np.array_equal(hour_of_close(market, candles.open_time_ms), hours) else None
