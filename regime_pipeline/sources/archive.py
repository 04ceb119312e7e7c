"""History out of a public archive: months where they are whole, days where they are not, the newest bars elsewhere.

Paths stand in `archive_layout`, transfers in `archive_transport`, files on disk in `archive_cache`, rows in `files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import numpy as np

from regime_pipeline.domain.candles import Candles, concatenate
from regime_pipeline.domain.completeness import absent_bars, clip_spans, merge_spans
from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market import Market
from regime_pipeline.domain.window import to_iso
from regime_pipeline.sources.archive_cache import ArchiveCache
from regime_pipeline.sources.archive_layout import DAY_MS, Period, days_between, month_of
from regime_pipeline.sources.archive_transport import TransferError
from regime_pipeline.sources.base import CandleSource, Fetched
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import merge_rows
from regime_pipeline.sources.files.reader import read_file

RECENT_DAYS: Final = 3
"""A day that ended at most this long ago may still be published; an older one that is absent stays unconfirmed."""
DEFAULT_THREADS: Final = 8
_TODO: Final = "Check the base URL and the connection, then ask again: finished files are kept."


class ArchiveSource:
    """Candles of an archive laid out in daily and monthly zips.

    Parameters
    ----------
    cache : ArchiveCache
        The fetched files, and where others come from.
    clock : callable
        Returns now in epoch milliseconds UTC; a candle that closes later is left out.
    price_scale : int
        Ticks per unit of quote currency.
    tail : CandleSource, optional
        Answers for the days that are not published yet.
    threads : int
        Most files fetched at once.
    progress : callable, optional
        Called with files done and files known to be wanted, in the caller's thread.

    Notes
    -----
    A whole month is read from its monthly file. Days on which that lacks bars, and days whose own file is cached, are
    read from the daily file, which wins wherever there are both. A gap is confirmed by the daily file alone.
    """

    def __init__(
        self,
        cache: ArchiveCache,
        clock: Callable[[], int],
        price_scale: int,
        tail: CandleSource | None = None,
        *,
        threads: int = DEFAULT_THREADS,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._price_scale = price_scale
        self._tail = tail
        self._threads = threads
        self._progress = progress or (lambda done, total: None)

    @property
    def venue(self) -> str:
        """Name recorded with what was fetched."""
        return "archive"

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the closed candles whose open time lies in [start_ms, end_ms).

        Raises
        ------
        SourceError
            A file cannot be fetched or is bad; names URL or file, market, span and cause.
        """
        now_ms = self._clock()
        end_ms = min(end_ms, now_ms // market.step_ms * market.step_ms)
        days = days_between(start_ms, min(end_ms, now_ms // DAY_MS * DAY_MS)) if start_ms < end_ms else ()
        try:
            files = self._collect(market, days)
        except TransferError as error:
            span = f"{to_iso(start_ms)} to {to_iso(end_ms)}"
            raise SourceError(f"The archive of {market} failed for {span}: {error}.", _TODO) from error
        history = self._join(market, days, files)
        fetched = Fetched(history.candles.between(start_ms, end_ms), clip_spans(history.covered, start_ms, end_ms))
        tail_ms = max(start_ms, self._published_until(days, files))
        if self._tail is None or tail_ms >= end_ms:
            return fetched
        recent = self._tail.fetch(market, tail_ms, end_ms)
        candles = concatenate([fetched.candles.between(start_ms, tail_ms), _rescale(recent.candles, self._price_scale)])
        return Fetched(candles, merge_spans((*clip_spans(fetched.covered, start_ms, tail_ms), *recent.covered)))

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the newest bar of the tail; without one, the end of the newest day among the last published."""
        if self._tail is not None:
            return self._tail.newest_closed_ms(market)
        today_ms = self._clock() // DAY_MS * DAY_MS
        for day in reversed(days_between(today_ms - RECENT_DAYS * DAY_MS, today_ms)):
            bars = self.fetch(market, day.start_ms, day.end_ms).candles
            if len(bars):
                return int(bars.close_time_ms[-1])
        return None

    def _collect(self, market: Market, days: Sequence[Period]) -> dict[Period, Candles]:
        """Read the files that answer for the days: first the likeliest, then the ones to fall back on."""
        wanted = set(days)
        months = {month_of(day.start_ms) for day in days}
        whole = {month for month in months if wanted.issuperset(month.days)}
        first = sorted([*whole, *(day for day in days if month_of(day.start_ms) not in whole)])
        files = self._read(market, first, 0)
        fallback: set[Period] = set()
        for month in months:
            if month in whole:
                fallback.update(self._doubtful_days(market, month, files.get(month)))
            elif self._is_over(month) and any(day not in files for day in wanted.intersection(month.days)):
                fallback.add(month)
        return files | self._read(market, sorted(fallback), len(first))

    def _doubtful_days(self, market: Market, month: Period, candles: Candles | None) -> list[Period]:
        """Return the days of a month on which its daily file has the better word."""
        if candles is None:
            return list(month.days)
        return [day for day in month.days if not _is_whole(market, day, candles) or self._cache.has(day.path(market))]

    def _is_over(self, month: Period) -> bool:
        return month.end_ms <= self._clock()

    def _read(self, market: Market, periods: Sequence[Period], done: int) -> dict[Period, Candles]:
        """Fetch and read the files that exist."""
        options = ReadOptions(price_scale=self._price_scale)
        candles = {}
        for period, path in self._get_all(market, periods, done):
            rows = read_file(path, market, options)
            candles[period] = merge_rows(rows, market, self._clock(), self._price_scale).candles
        return candles

    def _get_all(self, market: Market, periods: Sequence[Period], done: int) -> list[tuple[Period, Path]]:
        """Fetch files side by side; the first failure stops those that have not begun."""
        found = []
        with ThreadPoolExecutor(self._threads) as pool:
            running = {pool.submit(self._cache.get, period.path(market)): period for period in periods}
            try:
                for future in as_completed(running):
                    done += 1
                    self._progress(done, done + sum(not other.done() for other in running))
                    path = future.result()
                    if path is not None:
                        found.append((running[future], path))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return sorted(found)

    def _join(self, market: Market, days: Iterable[Period], files: dict[Period, Candles]) -> Fetched:
        """Return every day's candles by its daily file, else by its month's."""
        parts, covered = [Candles.empty(market, self._price_scale)], []
        for day in days:
            source = files.get(day, files.get(month_of(day.start_ms)))
            if source is None:
                continue
            parts.append(source.between(day.start_ms, day.end_ms))
            if day in files or _is_whole(market, day, source):
                covered.append((day.start_ms, day.end_ms))
        return Fetched(concatenate(parts), merge_spans(covered))

    def _published_until(self, days: Sequence[Period], files: dict[Period, Candles]) -> int:
        """Return where the tail begins: after the newest published day, at most a few days ago."""
        today_ms = self._clock() // DAY_MS * DAY_MS
        published = [day.end_ms for day in days if day in files or month_of(day.start_ms) in files]
        return max([today_ms - RECENT_DAYS * DAY_MS, *published])


def _is_whole(market: Market, day: Period, candles: Candles) -> bool:
    """Return whether every bar that opens on the day is there."""
    return not bool(absent_bars(market, day.start_ms, day.end_ms, candles.between(day.start_ms, day.end_ms))[1].any())


def _rescale(candles: Candles, price_scale: int) -> Candles:
    """Return candles in ticks of another size."""
    if candles.price_scale == price_scale:
        return candles
    prices = [np.asarray(candles.prices(name)) for name in ("open", "high", "low", "close")]
    return Candles.from_prices(candles.market, price_scale, candles.open_time_ms, prices, candles.volume)
