"""A public archive's file tree, packed from any candle source: monthly and daily zips, checksums, faults on demand.

Serving it over HTTP does not belong here.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market import Market
from regime_pipeline.domain.window import to_ms
from regime_pipeline.sources.archive_layout import CHECKSUM, Period, days_between, month_of
from regime_pipeline.sources.base import CandleSource

MICROSECONDS_FROM_MS: Final = to_ms("2025-01-01T00:00:00Z")
"""Rows that open from here on have microseconds, as at the exchange."""
_HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_PATH: Final = re.compile(
    r"/?data/spot/(daily|monthly)/klines/([A-Z0-9]+)/(\w+)/\2-\3-(\d{4}-\d{2})(-\d{2})?\.zip(\.CHECKSUM)?"
)
_PACKED_AT: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(slots=True)
class ArchiveFaults:
    """What is wrong with the tree; sets of file names such as `BTCUSDT-1m-2020-02-09.zip`.

    Parameters
    ----------
    bad_checksum, truncated, missing, short_rows, with_header : set of str
        Files whose CHECKSUM is of other bytes, that are cut in half (the CHECKSUM is of the cut file), that are
        absent, whose last row lacks columns, that begin with a header.
    disagreeing, lacking_rows : set of str
        Files whose closes differ from the source by a tick where the bar allows it, or that lack their last half.
    microseconds_from_ms : int
        Open time from which rows have microseconds, epoch milliseconds UTC.
    """

    bad_checksum: set[str] = field(default_factory=set)
    truncated: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    short_rows: set[str] = field(default_factory=set)
    with_header: set[str] = field(default_factory=set)
    disagreeing: set[str] = field(default_factory=set)
    lacking_rows: set[str] = field(default_factory=set)
    microseconds_from_ms: int = MICROSECONDS_FROM_MS


class ArchiveTree:
    """The archive of every market that a source knows; the same bytes for the same candles.

    Parameters
    ----------
    source : CandleSource
        Where candles come from.
    clock : callable
        Returns now in epoch milliseconds UTC; a period that is not over has no file.
    """

    def __init__(self, source: CandleSource, clock: Callable[[], int]) -> None:
        self._source = source
        self._clock = clock
        self.faults = ArchiveFaults()

    def __call__(self, path: str) -> bytes | None:
        """Return a file's content; None where the archive has no such file."""
        match = _PATH.fullmatch(path)
        parsed = match and _parse(match)
        if not match or not parsed:
            return None
        content = self._pack(*parsed)
        if content is None or not match[6]:
            return content
        name = path.rsplit("/", 1)[-1].removesuffix(CHECKSUM)
        digest = hashlib.sha256(content + (b"?" if name in self.faults.bad_checksum else b"")).hexdigest()
        return f"{digest}  {name}\n".encode()

    def _pack(self, market: Market, period: Period) -> bytes | None:
        name = period.path(market).rsplit("/", 1)[-1]
        if period.end_ms > self._clock() or name in self.faults.missing:
            return None
        candles = self._source.fetch(market, period.start_ms, period.end_ms).candles
        if not len(candles):
            return None
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            member = zipfile.ZipInfo(name.replace(".zip", ".csv"), _PACKED_AT)
            archive.writestr(member, self._csv(name, candles), zipfile.ZIP_DEFLATED, 6)
        content = buffer.getvalue()
        return content[: len(content) // 2] if name in self.faults.truncated else content

    def _csv(self, name: str, candles: Candles) -> str:
        if name in self.faults.lacking_rows:
            candles = candles[: len(candles) // 2]
        nudge = int(name in self.faults.disagreeing)
        lines = [self._row(candles, at, nudge) for at in range(len(candles))]
        if name in self.faults.short_rows:
            lines[-1] = ",".join(lines[-1].split(",")[:4])
        return "\n".join([*([_HEADER] if name in self.faults.with_header else []), *lines, ""])

    def _row(self, candles: Candles, at: int, nudge: int) -> str:
        opens, high, low, close = (int(getattr(candles, name)[at]) for name in ("open", "high", "low", "close"))
        start, scale = int(candles.open_time_ms[at]), candles.price_scale
        close = min(close + nudge, high) if close < high else max(close - nudge, low)
        is_micro = start >= self.faults.microseconds_from_ms
        unit, end = (1_000, 999) if is_micro else (1, 0)
        last = (start + candles.market.step_ms - 1) * unit + end
        prices = ",".join(f"{price / scale:.8f}" for price in (opens, high, low, close))
        volume = float(candles.volume[at])
        return f"{start * unit},{prices},{volume!r},{last},{volume * close / scale:.8f},{int(volume > 0)},0,0,0"


def _parse(match: re.Match[str]) -> tuple[Market, Period] | None:
    """Return market and period of a path; None if they do not exist."""
    folder, symbol, timeframe, month, day = match.groups()[:5]
    if (folder == "daily") != bool(day):
        return None
    try:
        start_ms = to_ms(f"{month}{day or '-01'}T00:00:00Z")
        market = Market(symbol, timeframe)
    except UsageError:
        return None
    return market, days_between(start_ms, start_ms + 1)[0] if day else month_of(start_ms)
