"""Candles of thousands of snapshot files at once: a short cut past strict reading for files of our own form.

It accepts nothing that `validation` would refuse for its bars; whatever looks unusual goes there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from regime_pipeline.domain.errors import BadCandlesError, BadSnapshotError, UsageError
from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, join_candles
from regime_pipeline.domain.market_data.window import hour_of_close, to_ms
from regime_pipeline.storage.snapshots.backends import revision_name
from regime_pipeline.storage.snapshots.codec import candles_of_columns, columns_of, hash_of
from regime_pipeline.storage.snapshots.schema import DEFAULT_PRICE_SCALE, SCHEMA_VERSION
from regime_pipeline.storage.snapshots.validation import REMEDY, decode


class StoredSnapshot(NamedTuple):
    """A snapshot file as found: whose it must be, by its path, and its bytes."""

    market: Market
    hour_start_ms: int
    hour_start: str
    stem: str
    revision: int
    data: bytes

    def decode(self) -> HourSnapshot:
        """Read the file strictly.

        Raises
        ------
        BadSnapshotError
            The file is damaged (every fault is named) or lies in the place of another hour or market.
        """
        name = revision_name(self.stem, self.revision)
        snapshot = decode(self.data, name)
        if (snapshot.market, snapshot.hour_start_ms) != (self.market, self.hour_start_ms):
            raise BadSnapshotError(f"{name}: holds {snapshot}, not {self.market} {self.hour_start}.", REMEDY)
        return snapshot

    def document(self) -> dict[str, Any] | None:
        """Return the file's JSON if its hash and its place are right; else None."""
        try:
            document: dict[str, Any] = orjson.loads(self.data)
            metadata = document["metadata"]
            stated = metadata.pop("sha256")
            collected_at = metadata.pop("collected_at")
            is_sound = (
                document["schema_version"] == SCHEMA_VERSION
                and document["symbol"] == self.market.symbol
                and document["timeframe"] == self.market.timeframe
                and document["hour_start"] == self.hour_start
                and hash_of(document) == stated
            )
            metadata["collected_at"] = collected_at
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return document if is_sound else None

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


def candles_of_files(market: Market, files: Sequence[StoredSnapshot]) -> Candles:
    """Return the candles of a market's snapshot files, given in order of their hours.

    Raises
    ------
    BadSnapshotError
        A file is damaged or lies in another's place.
    """
    if not files:
        return Candles.empty(market, DEFAULT_PRICE_SCALE)
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
