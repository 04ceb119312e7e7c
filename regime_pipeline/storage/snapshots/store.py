"""The snapshot store: as-of records of hours as JSON files, revisions beside them, bulk reads of candles.

See `codec` and `validation` for bytes, `backends` for disks and URLs.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import MISSING
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot
from regime_pipeline.domain.market_data.sorted_times import distinct
from regime_pipeline.domain.market_data.window import Int64, Window, hour_of_close, to_iso
from regime_pipeline.domain.schema import HOUR_STATUSES
from regime_pipeline.storage.snapshots.backends import DAY_LENGTH, open_files, revision_name, stem_of
from regime_pipeline.storage.snapshots.codec import content_hash, to_document
from regime_pipeline.storage.snapshots.day_files import (
    DAY_REVISION,
    HOURS,
    Day,
    HourOfDay,
    bytes_of,
    day_name,
    encode_day,
)
from regime_pipeline.storage.snapshots.fast_reader import StoredDay, StoredSnapshot, candles_of_files

_BATCH: Final = 256
_MARK_FILE: Final = "store.mark"
_HOURS: Final = frozenset(HOURS)
_DAYS: Final = 10
"""Days that are looked up and written together."""


class Newest(NamedTuple):
    """A newest revision: its number, and its bytes or its place in the day's file, which is number 0."""

    revision: int
    data: bytes | HourOfDay


Pending = tuple[str, dict[str, Any]]
"""A document that is to be stored, with its stem."""


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """Counts of snapshots by what became of them: first of their hour, a new revision, or already there."""

    written: int = 0
    revised: int = 0
    unchanged: int = 0


class SnapshotStore:
    """Hourly snapshots under one root, `YYYY/MM/DD/HH/ETH-USDT_1h.json` (UTC), revisions as `ETH-USDT_1h.r2.json`.

    Parameters
    ----------
    root : str
        Folder or fsspec URL of the snapshots; made when first written to.
    by_day : bool
        Write a market's day as one file, `YYYY/MM/DD/ETH-USDT_1h.day`, where all of its hours are new and written at
        once; read many times faster. Either way every store reads both.

    Notes
    -----
    A file never changes once it has its name. Writers may race: each revision is created by one of them, whole.
    """

    def __init__(self, root: str, by_day: bool = False) -> None:
        self.root = root
        self._files = open_files(root)
        self._by_day = by_day

    def write(self, snapshots: Sequence[HourSnapshot]) -> SnapshotReport:
        """Store snapshots, each as the newest revision of its hour unless the newest says the same already.

        Raises
        ------
        StorageError
            The root cannot be written to.
        """
        return self.write_each([snapshots])[0]

    def write_each(self, groups: Sequence[Sequence[HourSnapshot]]) -> list[SnapshotReport]:
        """Store groups of snapshots of different markets together; return a report of each group, errors as `write`."""
        snapshots = [snapshot for group in groups for snapshot in group]
        done: dict[str, Counter[str]] = defaultdict(Counter)
        with self._storage_errors("write"):
            rest = self._write_days(snapshots, done) if self._by_day else snapshots
            for first in range(0, len(rest), _BATCH):
                self._write_batch(rest[first : first + _BATCH], done)
        stems = [dict.fromkeys(map(_stem, group)) for group in groups]
        return [SnapshotReport(**sum((done[stem] for stem in of), Counter())) for of in stems]

    def _write_days(self, snapshots: Sequence[HourSnapshot], done: dict[str, Counter[str]]) -> Sequence[HourSnapshot]:
        """Write the days that are whole and new as files of their own; return the other snapshots."""
        days: dict[str, dict[str, HourSnapshot]] = defaultdict(dict)
        for snapshot in snapshots:
            stem = _stem(snapshot)
            days[day_name(stem)].setdefault(stem, snapshot)
        whole, written = [name for name, day in days.items() if _is_whole(day)], dict[str, HourSnapshot]()
        for first in range(0, len(whole), _DAYS):
            names = whole[first : first + _DAYS]
            stems = [stem for name in names for stem in days[name]]
            newest = dict(zip(stems, self._newest(stems), strict=True))
            fresh = [name for name in names if not any(newest[stem] for stem in days[name])]
            files = [(name, encode_day([to_document(s) for _, s in sorted(days[name].items())])) for name in fresh]
            for name, is_created in zip(fresh, self._files.create(files), strict=True):
                written |= days[name] if is_created else {}
        done.update((stem, Counter(written=1)) for stem in written)
        return [snapshot for snapshot in snapshots if written.get(_stem(snapshot)) is not snapshot]

    def _write_batch(self, batch: Sequence[HourSnapshot], done: dict[str, Counter[str]]) -> None:
        """Try until each is stored: who loses a race for a revision looks at the winner's and tries the next."""
        pending = [(_stem(s), to_document(s)) for s in batch]
        while pending:
            turn, later = _first_of_each(pending)
            newest = dict(zip(turn, self._newest(list(turn)), strict=True))
            changed = [
                (stem, document)
                for stem, document in turn.items()
                if (file := newest[stem]) is None or not _says(bytes_of(file.data), document["metadata"]["sha256"])
            ]
            created = self._files.create(
                [
                    (revision_name(stem, file.revision + 1 if (file := newest[stem]) else 1), orjson.dumps(document))
                    for stem, document in changed
                ]
            )
            for stem in turn.keys() - {stem for stem, _ in changed}:
                done[stem]["unchanged"] += 1
            for (stem, _), is_created in zip(changed, created, strict=True):
                done[stem]["revised" if newest[stem] else "written"] += is_created
            lost = [pair for pair, is_created in zip(changed, created, strict=True) if not is_created]
            pending = lost + later

    def mark(self) -> str | None:
        """Return the mark by which a database knows this store, None where it has none yet."""
        with self._storage_errors("read"):
            (data,) = self._files.read([_MARK_FILE])
        return None if data is None else str(orjson.loads(data)["mark"])

    def put_mark(self, mark: str) -> str:
        """Give the store a mark unless it has one; return the one that it has."""
        with self._storage_errors("write"):
            self._files.create([(_MARK_FILE, orjson.dumps({"mark": mark}))])
        return self.mark() or mark

    def load(self, market: Market, hour_start_ms: int, as_of_ms: int | None = None) -> HourSnapshot | None:
        """Read one snapshot strictly; None where there is none.

        Parameters
        ----------
        market : Market
            Symbol and timeframe.
        hour_start_ms : int
            Start of the hour, epoch milliseconds UTC.
        as_of_ms : int, optional
            Read the newest revision collected at or before this time, instead of the newest of all.

        Raises
        ------
        BadSnapshotError
            The file is damaged; every fault is named.
        """
        found = self._read(market, np.array([hour_start_ms], dtype=np.int64), as_of_ms)
        return found[0].decode() if found else None

    def load_range(self, market: Market, start_ms: int, end_ms: int, as_of_ms: int | None = None) -> list[HourSnapshot]:
        """Read the snapshots of the hours that start in [start_ms, end_ms) strictly and in order, absent ones left out.

        Raises
        ------
        BadSnapshotError
            A file is damaged; every fault is named.
        """
        hours = np.arange(start_ms, end_ms, HOUR_MS, dtype=np.int64)
        return [file.decode() for file in self._read(market, hours, as_of_ms)]

    def read_candles(self, market: Market, start_ms: int, end_ms: int, as_of_ms: int | None = None) -> Candles:
        """Read the candles whose open time lies in [start_ms, end_ms); only the hours in which they close are opened.

        Parameters
        ----------
        market : Market
            Symbol and timeframe.
        start_ms, end_ms : int
            Span of open times, epoch milliseconds UTC.
        as_of_ms : int, optional
            As in `load`.

        Returns
        -------
        Candles
            In order, at one price scale (the least that holds all files'). Absent hours give no bars.

        Raises
        ------
        BadSnapshotError
            A file is damaged or lies in another's place.
        """
        step = market.step_ms
        opens = np.arange(-(-start_ms // step) * step, end_ms, step, dtype=np.int64)
        hours = distinct(hour_of_close(market, opens))
        found = self._read(market, hours, as_of_ms) if as_of_ms is not None else self._read_by_day(market, hours)
        return candles_of_files(market, found).between(start_ms, end_ms)

    def hours_of_day(self, market: Market, day_ms: int) -> list[StoredSnapshot]:
        """Return the newest revision of each hour of a day that has one, in order.

        Raises
        ------
        StorageError
            The root cannot be read.
        """
        return self._read(market, np.arange(day_ms, day_ms + DAY_MS, HOUR_MS, dtype=np.int64), None)

    def day(self, market: Market, day_ms: int) -> Day | None:
        """Return the file of a day, None where there is none; errors as `hours_of_day`."""
        with self._storage_errors("read"):
            (data,) = self._files.read([day_name(stem_of(market, to_iso(day_ms)))])
        return None if data is None else Day(data)

    def create_day(self, documents: Sequence[dict[str, Any]]) -> bool:
        """Create the file of a day from the documents of its hours; False where there is one.

        Raises
        ------
        StorageError
            The root cannot be written to.
        """
        first = documents[0]
        stem = stem_of(Market(first["symbol"], first["timeframe"]), first["hour_start"])
        with self._storage_errors("write"):
            return self._files.create([(day_name(stem), encode_day(documents))])[0]

    def remove(self, names: Sequence[str]) -> None:
        """Remove files whose content is part of their day's file, errors as `create_day`."""
        with self._storage_errors("write"):
            self._files.remove(names)

    def hours_present(self, market: Market, start_ms: int, end_ms: int) -> Int64:
        """Return the hours that start in [start_ms, end_ms) and have a file, ascending, int64 epoch ms UTC."""
        hours = np.arange(-(-start_ms // HOUR_MS) * HOUR_MS, end_ms, HOUR_MS, dtype=np.int64)
        return np.array([file.hour_start_ms for file in self._read(market, hours, None)], dtype=np.int64)

    def read_statuses(self, market: Market, window: Window, as_of_ms: int | None = None) -> NDArray[np.int8]:
        """Read the completeness of each hour of a window.

        Returns
        -------
        ndarray of int8, shape (len(window),)
            Codes into `schema.HOUR_STATUSES`; `missing` where there is no snapshot.

        Raises
        ------
        BadSnapshotError
            A file is damaged or lies in another's place.
        """
        codes = np.full(len(window), MISSING, dtype=np.int8)
        for file in self._read(market, window.hours, as_of_ms):
            status = (file.document() or {}).get("metadata", {}).get("status")
            if status not in HOUR_STATUSES:
                status = file.decode().status
            codes[(file.hour_start_ms - window.start_ms) // HOUR_MS] = HOUR_STATUSES.index(status)
        return codes

    def _read(self, market: Market, hours: Int64, as_of_ms: int | None) -> list[StoredSnapshot]:
        """Return the chosen revision of each hour that has one, in order of hours."""
        times = [f"{time}Z" for time in np.datetime_as_string(hours.astype("datetime64[ms]"), unit="s").tolist()]
        places = list(zip(hours.tolist(), times, [stem_of(market, time) for time in times], strict=True))
        with self._storage_errors("read"):
            newest = self._newest([stem for _, _, stem in places])
            found = [
                StoredSnapshot(market, hour, time, stem, file.revision, file.data)
                for (hour, time, stem), file in zip(places, newest, strict=True)
                if file is not None
            ]
            if as_of_ms is not None:
                found = [known for file in found if (known := self._known_by(as_of_ms, file))]
        return found

    def _read_by_day(self, market: Market, hours: Int64) -> list[StoredSnapshot | StoredDay]:
        """Return the newest of these hours; a day in which no hour has a folder as its file, so whole."""
        days = hours // DAY_MS
        starts = distinct(days) * DAY_MS
        names = [day_name(stem_of(market, to_iso(start))) for start in starts.tolist()]
        found: list[StoredSnapshot | StoredDay] = []
        with self._storage_errors("read"):
            lone = [name for name in names if not self._files.names_in(name[:DAY_LENGTH]) & _HOURS]
            files = dict(zip(lone, self._files.read(lone), strict=True))
        for start_ms, name in zip(starts.tolist(), names, strict=True):
            if name not in files:
                found += self._read(market, hours[days == start_ms // DAY_MS], None)
            elif (data := files[name]) is not None:
                found.append(StoredDay(market, start_ms, Day(data)))
        return found

    def _newest(self, stems: Sequence[str]) -> list[Newest | None]:
        """Return the newest revision of each hour: the last file of its own, or else its part of the day's file.

        Days are looked for last: a file that meanwhile became part of its day's is found there.
        """
        files: list[Newest | None] = [file and Newest(*file) for file in self._files.newest(stems)]
        of_days = self._of_days([stem for stem, file in zip(stems, files, strict=True) if file is None])
        return [file or of_days.get(stem) for stem, file in zip(stems, files, strict=True)]

    def _of_days(self, stems: Sequence[str]) -> dict[str, Newest]:
        names = list(dict.fromkeys(day_name(stem) for stem in stems))
        found = zip(names, self._files.read(names), strict=True)
        days = {name: Day(data) for name, data in found if data is not None}
        parts = [(stem, HourOfDay(days[name], stem[11:13])) for stem in stems if (name := day_name(stem)) in days]
        return {stem: Newest(DAY_REVISION, part) for stem, part in parts if part.day.says(part.hour)}

    def _known_by(self, moment_ms: int, file: StoredSnapshot) -> StoredSnapshot | None:
        """Go back from the newest revision to one that was collected by the moment; None if there is none."""
        while file.collected_at_ms() > moment_ms:
            before = self._before(file)
            if before is None:
                return None
            file = file._replace(revision=before.revision, data=before.data)
        return file

    def _before(self, file: StoredSnapshot) -> Newest | None:
        """Return the revision before another; None if that was the first."""
        if file.revision > 1:
            (data,) = self._files.read([revision_name(file.stem, file.revision - 1)])
            if data is not None or file.revision > 2:  # the first alone may be part of the day's file
                return Newest(file.revision - 1, data or b"")
        return None if file.revision == DAY_REVISION else self._of_days([file.stem]).get(file.stem)

    @contextlib.contextmanager
    def _storage_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"Cannot {verb} snapshots under {self.root}: {error}.",
                "Check that it exists, has room, may be accessed, and supports hard links.",
            ) from error


def _is_whole(day: Mapping[str, HourSnapshot]) -> bool:
    """Tell whether these are all hours of their day, at one price scale, so that one file can hold them."""
    return len(day) == len(HOURS) and len({snapshot.price_scale for snapshot in day.values()}) == 1


def _stem(snapshot: HourSnapshot) -> str:
    return stem_of(snapshot.market, to_iso(snapshot.hour_start_ms))


def _first_of_each(pending: Sequence[Pending]) -> tuple[dict[str, dict[str, Any]], list[Pending]]:
    """Split into the first document of each stem and the later ones, which must become later revisions."""
    first: dict[str, dict[str, Any]] = {}
    later = []
    for stem, document in pending:
        if first.setdefault(stem, document) is not document:
            later.append((stem, document))
    return first, later


def _says(data: bytes, sha256: str) -> bool:
    """Tell whether a stored file has the content with this hash; a damaged one has none."""
    try:
        document = orjson.loads(data)
        return bool(content_hash(document) == document["metadata"]["sha256"] == sha256)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
