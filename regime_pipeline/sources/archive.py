"""Candles of a bulk archive, day by day: daily files first, then monthly ones, the exchange for what neither has.

A day's candles never depend on how much was requested, so hours materialized one by one and in bulk are the same.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import uuid4

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.completeness import Spans, clip_spans, merge_spans
from regime_pipeline.domain.market_data.market import DAY_MS, Market
from regime_pipeline.sources.base import CandleSource, Fetched
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import merge_rows
from regime_pipeline.sources.files.names import span_of
from regime_pipeline.sources.files.reader import read_file

VERIFIED_FOR_S: Final = 24 * 3_600.0
"""How long a kept file counts as verified; then its CHECKSUM is asked for again, since archives replace files."""
_TRIES: Final = 2
Get = Callable[[str], bytes | None]
"""Path below the archive's root to content; None where there is no such file."""


class ArchiveFiles:
    """The archive as it stands on this disk.

    Parameters
    ----------
    root : Path
        Where files are kept, in the archive's own tree.
    get : callable
        Asks the archive for a file; raises `SourceError`.
    clock : callable
        Gives seconds since the epoch.
    """

    def __init__(self, root: Path, get: Get, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._get = get
        self._clock = clock

    def file(self, path: str) -> Path | None:
        """Return a verified file; None where the archive has none.

        Raises
        ------
        SourceError
            The archive cannot be asked and nothing is kept, or file and CHECKSUM contradict each other twice.
        """
        kept = self._root / path
        if kept.is_file() and self._clock() - kept.stat().st_mtime < VERIFIED_FOR_S:
            return kept
        try:
            checksum = self._get(path + ".CHECKSUM")
        except SourceError:
            if kept.is_file():
                return kept
            raise
        if checksum is not None and kept.is_file() and _digest_of(checksum) == _sha256(kept.read_bytes()):
            os.utime(kept)
            return kept
        return self._fetched(path, checksum)

    def _fetched(self, path: str, checksum: bytes | None) -> Path | None:
        """Fetch a file and keep it if it is what its CHECKSUM says; both may be in the middle of being replaced."""
        for _ in range(_TRIES):
            content = self._get(path)
            if content is None or checksum is None:
                return None
            if _sha256(content) == _digest_of(checksum):
                return self._keep(path, content)
            checksum = self._get(path + ".CHECKSUM")
        raise SourceError(
            f"The archive's {path} does not match its CHECKSUM file.", "It is requested again at the next run."
        )

    def _keep(self, path: str, content: bytes) -> Path:
        """Write under a temporary name and rename, so that a file that is there is whole."""
        kept = self._root / path
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f".{uuid4().hex}.part")
        try:
            part.write_bytes(content)
            part.replace(kept)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        return kept


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(checksum: bytes) -> str:
    """The first word of a `sha256  name` file."""
    return (checksum.decode("ascii", "replace").split() or [""])[0].lower()


PARALLEL: Final = 8
_KEPT_FILES: Final = 64
Progress = Callable[[Iterable[Candles | None], int], Iterable[Candles | None]]
"""Passes days through as they come in; the second argument is how many there will be."""


class ArchiveSource:
    """Bulk history in daily and monthly zips, with the recent days from an exchange.

    Parameters
    ----------
    files : ArchiveFiles
        The archive.
    tail : CandleSource
        Asked for every day that the archive has not: those not over or published yet, and holes of the archive.
    scale_of : callable
        `market -> int`: ticks per unit of quote currency.
    clock : callable
        Now in epoch milliseconds UTC.
    progress : callable
        Shows progress; by default nothing is shown.

    Notes
    -----
    Where a daily and a monthly file disagree the daily one counts. Bars between two multiples of the timeframe, which
    some archives hold after an outage, are left out.
    """

    def __init__(
        self,
        files: ArchiveFiles,
        tail: CandleSource,
        scale_of: Callable[[Market], int],
        clock: Callable[[], int],
        progress: Progress = lambda days, _: days,
    ) -> None:
        self._files = files
        self._tail = tail
        self._scale_of = scale_of
        self._clock = clock
        self._progress = progress
        self._read = lru_cache(_KEPT_FILES)(self._read_once)

    @property
    def venue(self) -> str:
        """The name of the exchange whose archive it is."""
        return self._tail.venue

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the closed candles that open in [start, end).

        Notes
        -----
        Where the exchange fails, the archive's days are returned all the same, and `failure` says what is lacking.

        Raises
        ------
        SourceError
            Nothing could be had at all; names file or exchange, market, span and cause.
        """
        now = self._clock()
        days = range(start_ms // DAY_MS * DAY_MS, min(end_ms, now // DAY_MS * DAY_MS), DAY_MS)
        found, failures = self._days(market, days)
        lacking = merge_spans(
            (day, day + DAY_MS) for day in range(start_ms // DAY_MS * DAY_MS, end_ms, DAY_MS) if day not in found
        )
        rest = self._rest(market, clip_spans(lacking, start_ms, end_ms), failures)
        covered = merge_spans((*((day, day + DAY_MS) for day in found), *(s for part in rest for s in part.covered)))
        parts = [Candles.empty(market, self._scale_of(market)), *found.values(), *(part.candles for part in rest)]
        if failures and not covered:
            raise SourceError(" ".join(failures))
        candles = concatenate(parts).between(start_ms, end_ms)
        return Fetched(candles, clip_spans(covered, start_ms, end_ms), " ".join(failures))

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the exchange's newest closed bar, epoch milliseconds UTC."""
        return self._tail.newest_closed_ms(market)

    def _days(self, market: Market, days: range) -> tuple[dict[int, Candles], list[str]]:
        """Candles of each day that the archive has, and what went wrong with others; files come in parallel."""
        failures: list[str] = []

        def one(day_ms: int) -> Candles | None:
            try:
                return self._day(market, day_ms)
            except SourceError as error:
                failures.append(str(error))
                return None

        with ThreadPoolExecutor(PARALLEL) as pool:
            answers: Iterator[Candles | None] = iter(self._progress(pool.map(one, days), len(days)))
            found = dict(zip(days, answers, strict=True))
        return {day: candles for day, candles in found.items() if candles is not None}, failures

    def _day(self, market: Market, day_ms: int) -> Candles | None:
        """One day out of its daily file, else out of the month's if that is over; None where there is neither."""
        failure: SourceError | None = None
        for length in ("daily", "monthly") if _month_end_ms(day_ms) <= self._clock() else ("daily",):
            try:
                candles = self._file(market, length, day_ms)
            except SourceError as error:
                failure = error
                continue
            if candles is not None:
                return candles.between(day_ms, day_ms + DAY_MS)
        if failure is not None:
            raise failure
        return None

    def _file(self, market: Market, length: str, day_ms: int) -> Candles | None:
        kept = self._files.file(f"{folder_of(market, length)}/{_name(market, length, day_ms)}")
        return None if kept is None else self._read(market, kept, kept.stat().st_mtime_ns)

    def _read_once(self, market: Market, path: Path, _version: int) -> Candles:
        parts = read_file(path, market, ReadOptions(is_dropping_unaligned=True))
        return merge_rows(parts, market, self._clock(), self._scale_of(market)).candles

    def _rest(self, market: Market, spans: Spans, failures: list[str]) -> list[Fetched]:
        """Ask the exchange for what the archive has not; a symbol that it no longer lists has no candles there."""
        answers = []
        for start, end in spans:
            try:
                answers.append(self._tail.fetch(market, start, end))
            except SourceError as error:
                failures.append(str(error))
        return answers


def folder_of(market: Market, length: str) -> str:
    """Return the folder of a market's daily or monthly files."""
    return f"data/spot/{length}/klines/{market.symbol.replace('-', '')}/{market.timeframe}"


def _month_end_ms(day_ms: int) -> int:
    day = datetime.fromtimestamp(day_ms / 1000, UTC)
    return span_of(day.year, day.month, 0)[1]


def _name(market: Market, length: str, day_ms: int) -> str:
    day = datetime.fromtimestamp(day_ms / 1000, UTC)
    stamp = day.strftime("%Y-%m-%d" if length == "daily" else "%Y-%m")
    return f"{market.symbol.replace('-', '')}-{market.timeframe}-{stamp}.zip"
