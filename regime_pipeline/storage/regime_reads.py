"""Candle regimes as of one moment: what is stored, which of it still holds, and the candles to make the rest from.

Everything is read in one transaction, so that an answer never mixes two states of a series that is being rewritten.
Classifying candles does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candles import Candles, Float64
from regime_pipeline.domain.market import HOUR_MS, Market
from regime_pipeline.domain.window import Int64, Window, hour_of_close
from regime_pipeline.storage.bulk_io import epoch_ms, moment, read_arrays
from regime_pipeline.storage.bulk_tables import CANDLE_REGIME, CANDLES
from regime_pipeline.storage.catalog import Series
from regime_pipeline.storage.engine import Cursor
from regime_pipeline.storage.held_rows import ONE_MOMENT, candles_of, hours_that_hold, recorded_hours

_BOUNDS: Final = (
    "SELECT (SELECT open_time FROM candles WHERE series_id = %(series)s AND open_time < %(end)s "
    "ORDER BY open_time DESC LIMIT 1), (SELECT open_time FROM candles WHERE series_id = %(series)s "
    "AND open_time < %(end)s AND open_time >= %(start)s ORDER BY open_time DESC OFFSET %(skip)s LIMIT 1), "
    "(SELECT min(open_time) FROM candles WHERE series_id = %(series)s AND open_time >= %(start)s)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which regimes of a market are wanted.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    start_ms, end_ms : int
        Open times, half-open, epoch milliseconds UTC.
    limit : int
        At most so many bars, the newest ones.
    config_hash : str
        Hash of the policy that stored rows must have been made with.
    lookback_bars : int
        How far back a regime depends on candles.
    """

    market: Market
    start_ms: int
    end_ms: int
    limit: int
    config_hash: str
    lookback_bars: int


@dataclass(frozen=True, eq=False)
class StoredRegimes:
    """One entry per candle of the span, in order.

    Parameters
    ----------
    open_time_ms : ndarray of int64, shape (n,)
        Opens of the candles, epoch milliseconds UTC.
    state : ndarray of int16, shape (n,)
        Regime code; 0 where nothing that holds is stored.
    confidence : ndarray of float64, shape (n,)
        0..1.
    is_current : ndarray of bool, shape (n,)
        A row is stored, of the wanted policy, and no correction has made it stale.
    candles : Candles or None
        Candles of the span and of the lookback before it where anything is not current; None otherwise.
    version : str
        Changes whenever the answer may.
    """

    open_time_ms: Int64
    state: NDArray[np.int16]
    confidence: Float64
    is_current: NDArray[np.bool_]
    candles: Candles | None
    version: str


def read_regimes(cursor: Cursor, series: Series, wanted: Wanted, unless: str = "") -> StoredRegimes | None:
    """Read what is wanted, in the transaction of the cursor; None where its version is still `unless`."""
    cursor.execute(ONE_MOMENT)
    span = _span(cursor, series, wanted)
    window = _hours(wanted.market, span)
    held = recorded_hours(cursor, "candles", series, window)
    recorded = recorded_hours(cursor, CANDLE_REGIME.name, series, window)
    holds = hours_that_hold(cursor, series, CANDLE_REGIME.name, recorded, wanted.config_hash)
    version = _version(wanted, span, held.hashes, recorded.hashes, holds)
    if version == unless:
        return None
    opened = read_arrays(cursor, CANDLES, series.series_id, *span, ("open_time",))["open_time"]
    rows = read_arrays(cursor, CANDLE_REGIME, series.series_id, *span, CANDLE_REGIME.names)
    at = np.searchsorted(rows["open_time"], opened)
    padded = np.append(rows["open_time"], -1)
    hour = (hour_of_close(wanted.market, opened) - window.start_ms) // HOUR_MS
    is_current = (padded[at] == opened) & holds[hour]
    state = np.where(is_current, np.append(rows["state"], 0)[at], 0).astype(np.int16)
    confidence = np.where(is_current, np.append(rows["confidence"], 0.0)[at], 0.0).astype(np.float64)
    start_ms = span[0] - wanted.lookback_bars * wanted.market.step_ms
    candles = None if is_current.all() else candles_of(cursor, series, wanted.market, start_ms, span[1])
    return StoredRegimes(opened, state, confidence, is_current, candles, version)


def _span(cursor: Cursor, series: Series, wanted: Wanted) -> tuple[int, int]:
    """Open times from the first to behind the last wanted candle; empty where there are none."""
    found: Any = cursor.execute(
        _BOUNDS,
        {
            "series": series.series_id,
            "start": moment(wanted.start_ms),
            "end": moment(wanted.end_ms),
            "skip": wanted.limit - 1,
        },
    ).fetchone()
    last, limited, first = (None if time is None else epoch_ms(time) for time in found)
    if last is None or first is None or last < wanted.start_ms or first > last:
        return wanted.start_ms, wanted.start_ms
    return first if limited is None else limited, last + wanted.market.step_ms


def _hours(market: Market, span: tuple[int, int]) -> Window:
    """Hours in which the bars of a span close."""
    if span[0] == span[1]:
        return Window(span[0] // HOUR_MS * HOUR_MS, span[0] // HOUR_MS * HOUR_MS)
    ends = hour_of_close(market, np.array([span[0], span[1] - market.step_ms], dtype=np.int64))
    return Window(int(ends[0]), int(ends[1]) + HOUR_MS)


def _version(wanted: Wanted, span: tuple[int, int], *parts: NDArray[Any]) -> str:
    digest = blake2b(f"{wanted}|{span}".encode(), digest_size=12)
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
