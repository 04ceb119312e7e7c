"""Days that were written hour by hour, made into daily files: the same content, many times faster to read.

See `day_files` for the format and `store` for how both are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from regime_pipeline.domain.errors import BadSnapshotError
from regime_pipeline.domain.market_data.market import DAY_MS, Market
from regime_pipeline.storage.snapshots.day_files import BROKEN, Day, HourOfDay, encode_day
from regime_pipeline.storage.snapshots.fast_reader import StoredSnapshot
from regime_pipeline.storage.snapshots.store import SnapshotStore

_LEAST: Final = 2
"""Hours of a day that are worth a file."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """How many days were made into a file each, and how many hourly files they replace."""

    days: int = 0
    files: int = 0

    def __add__(self, other: Compaction) -> Compaction:
        return Compaction(self.days + other.days, self.files + other.files)


def compact(store: SnapshotStore, market: Market, start_ms: int, end_ms: int) -> Compaction:
    """Make the days of a market that lie in [start_ms, end_ms) into daily files.

    An hour keeps its own file where it has later revisions, is damaged, or is not exactly what we would write; a day
    that has its file already is left as it is. A kill at any moment loses nothing: hourly files go once the day's
    file is there, and read the same as it.

    Parameters
    ----------
    store : SnapshotStore
        Where the files are.
    market : Market
        Symbol and timeframe.
    start_ms, end_ms : int
        Epoch milliseconds UTC.

    Raises
    ------
    StorageError
        The store cannot be read or written to.
    """
    first = -(-start_ms // DAY_MS) * DAY_MS
    days = range(first, end_ms - DAY_MS + 1, DAY_MS)
    return sum((_compact_day(store, market, day_ms) for day_ms in days), Compaction())


def _compact_day(store: SnapshotStore, market: Market, day_ms: int) -> Compaction:
    """Remove the hourly files that the day's file repeats, once it is there; so a compaction that was killed ends."""
    hours = [file for file in store.hours_of_day(market, day_ms) if file.revision == 1]
    documents = list(_replaceable(hours))
    if len(documents) < _LEAST:
        return Compaction()
    is_new = store.create_day(documents)
    day = store.day(market, day_ms)
    repeated = [file for file in hours if day and HourOfDay(day, file.hour_start[11:13]).encoded() == file.data]
    store.remove([file.name for file in repeated])
    return Compaction(int(is_new), len(repeated))


def _replaceable(hours: Sequence[StoredSnapshot]) -> Iterator[dict[str, Any]]:
    """Yield the documents at the first one's price scale whose bytes come out of a day's file again."""
    scale = None
    for file in hours:
        try:
            document = orjson.loads(file.encoded())
            again = HourOfDay(Day(encode_day([document])), document["hour_start"][11:13])
            is_same = again.encoded() == file.data and file.decode().is_verified
        except (*BROKEN, BadSnapshotError):
            continue
        scale = scale or document["price_scale"]
        if is_same and document["price_scale"] == scale:
            yield document
