"""Candles of a bulk archive, day by day: daily files first, then monthly ones, the exchange for what neither has.

A day's candles never depend on how much was asked for, so hours materialized one by one and in bulk are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from regime_pipeline.domain.candles import Candles, concatenate
from regime_pipeline.domain.completeness import Spans, clip_spans, merge_spans
from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market import DAY_MS, Market
from regime_pipeline.sources.archive_files import ArchiveFiles
from regime_pipeline.sources.base import CandleSource, Fetched
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import merge_rows
from regime_pipeline.sources.files.names import span_of
from regime_pipeline.sources.files.reader import read_file

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
