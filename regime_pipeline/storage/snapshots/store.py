"""The snapshot store: as-of records of hours as JSON files, revisions beside them, bulk reads of candles.

See `codec` and `validation` for bytes, `backends` for disks and URLs.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import MISSING
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot
from regime_pipeline.domain.market_data.sorted_times import distinct
from regime_pipeline.domain.market_data.window import Int64, Window, hour_of_close, to_iso
from regime_pipeline.domain.schema import HOUR_STATUSES
from regime_pipeline.storage.snapshots.backends import open_files, revision_name
from regime_pipeline.storage.snapshots.codec import content_hash, to_document
from regime_pipeline.storage.snapshots.fast_reader import StoredSnapshot, candles_of_files

_BATCH: Final = 256
_MARK_FILE: Final = "store.mark"
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

    Notes
    -----
    A file never changes once it has its name. Writers may race: each revision is created by one of them, whole.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._files = open_files(root)

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
            for first in range(0, len(snapshots), _BATCH):
                self._write_batch(snapshots[first : first + _BATCH], done)
        stems = [dict.fromkeys(_stem(s.market, to_iso(s.hour_start_ms)) for s in group) for group in groups]
        return [SnapshotReport(**sum((done[stem] for stem in of), Counter())) for of in stems]

    def _write_batch(self, batch: Sequence[HourSnapshot], done: dict[str, Counter[str]]) -> None:
        """Try until each is stored: who loses a race for a revision looks at the winner's and tries the next."""
        pending = [(_stem(s.market, to_iso(s.hour_start_ms)), to_document(s)) for s in batch]
        while pending:
            turn, later = _first_of_each(pending)
            newest = self._files.newest(list(turn))
            changed = [
                (stem, document, file.revision + 1 if file else 1)
                for (stem, document), file in zip(turn.items(), newest, strict=True)
                if file is None or not _says(file.data, document["metadata"]["sha256"])
            ]
            files = [(revision_name(stem, revision), orjson.dumps(document)) for stem, document, revision in changed]
            created = self._files.create(files)
            for stem in turn.keys() - {stem for stem, _, _ in changed}:
                done[stem]["unchanged"] += 1
            for (stem, _, revision), is_created in zip(changed, created, strict=True):
                done[stem]["written" if revision == 1 else "revised"] += is_created
            lost = [file[:2] for file, is_created in zip(changed, created, strict=True) if not is_created]
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
        return candles_of_files(market, self._read(market, hours, as_of_ms)).between(start_ms, end_ms)

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
        places = list(zip(hours.tolist(), times, [_stem(market, time) for time in times], strict=True))
        with self._storage_errors("read"):
            newest = self._files.newest([stem for _, _, stem in places])
            found = [
                StoredSnapshot(market, hour, time, stem, file.revision, file.data)
                for (hour, time, stem), file in zip(places, newest, strict=True)
                if file is not None
            ]
            if as_of_ms is not None:
                found = [known for file in found if (known := self._known_by(as_of_ms, file))]
        return found

    def _known_by(self, moment_ms: int, file: StoredSnapshot) -> StoredSnapshot | None:
        """Go back from the newest revision to one that was collected by the moment; None if there is none."""
        while file.collected_at_ms() > moment_ms:
            if file.revision == 1:
                return None
            (data,) = self._files.read([revision_name(file.stem, file.revision - 1)])
            file = file._replace(revision=file.revision - 1, data=data or b"")
        return file

    @contextlib.contextmanager
    def _storage_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"Cannot {verb} snapshots under {self.root}: {error}.",
                "Check that it exists, has room, may be accessed, and supports hard links.",
            ) from error


def _stem(market: Market, hour_start: str) -> str:
    """Return `YYYY/MM/DD/HH/ETH-USDT_1h`; both parts are validated values, so no path leaves the root."""
    return f"{hour_start[:13].replace('-', '/').replace('T', '/')}/{market.key}"


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
