"""Stale ranges: hours of downstream assets that a late correction of candles has made out of date.

Ranges are marked in the correction's transaction and cleared by the write that recomputes them. See
`services.chain.scheduling` for when that happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from psycopg import sql

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.storage.bulk.columns import BULK_TABLES
from regime_pipeline.storage.bulk.ledger import Recorded, read_days, whole_days
from regime_pipeline.storage.bulk.statements import SPANS, epoch_ms, moment, span_parameters
from regime_pipeline.storage.pool import Cursor

_IN_COMMIT_ORDER: Final = "SELECT pg_advisory_xact_lock(hashtextextended('dirty_range', 0))"
_MARK: Final = (
    "INSERT INTO dirty_range (id, from_time, to_time, series_id, run_id, asset, reason) "
    "VALUES (nextval('dirty_range_id_seq'), %s, %s, %s, %s, %s, %s)"
)
_CLEAR: Final = sql.SQL(
    "WITH hit AS (DELETE FROM dirty_range AS d USING {spans} WHERE d.asset = %(asset)s AND d.series_id = r.series_id "
    "AND d.id <= %(mark)s AND d.from_time < r.until AND d.to_time > r.first RETURNING d.*, r.first, r.until), "
    "rest AS (SELECT hit.*, 0 AS side FROM hit WHERE from_time < first "
    "UNION ALL SELECT hit.*, 1 FROM hit WHERE to_time > until) "
    "INSERT INTO dirty_range (id, from_time, to_time, marked_at, series_id, run_id, asset, reason) "
    "SELECT id, CASE side WHEN 0 THEN from_time ELSE until END, CASE side WHEN 0 THEN first ELSE to_time END, "
    "marked_at, series_id, run_id, asset, reason FROM rest"
).format(spans=SPANS)
_READ: Final = (
    "SELECT d.id, d.asset, s.symbol, s.timeframe, d.from_time, d.to_time, d.reason, d.run_id "
    "FROM dirty_range d JOIN series s USING (series_id) "
    "WHERE (%(symbol)s::text IS NULL OR (s.symbol, s.timeframe) = (%(symbol)s, %(timeframe)s)) "
    "AND (%(asset)s::text IS NULL OR d.asset = %(asset)s) ORDER BY d.id, d.from_time"
)
Reach = Mapping[str, int]
"""Asset to how far after the close of a changed bar its rows may change, in milliseconds."""


@dataclass(frozen=True, slots=True)
class StaleRange:
    """Hours of an asset that must be recomputed; pieces of one mark share its `mark`."""

    mark: int
    asset: str
    market: Market
    window: Window
    reason: str
    run_id: int


def stale_spans(asset: str, closes_ms: Int64, reach_ms: int, end_ms: int) -> list[Window]:
    """Return the hours of an asset whose rows may depend on bars that closed at the given times.

    Parameters
    ----------
    asset : str
        Where rows are bars, the last stale hour is the one that holds `close + reach`; where rows are hours it is
        the last that closes by then. The hour in which the bar closes is always stale.
    closes_ms : ndarray of int64
        Closes of the changed bars, ascending.
    reach_ms : int
        How far the change reaches.
    end_ms : int
        End of what exists: nothing later can be stale.
    """
    first = (closes_ms - 1) // HOUR_MS * HOUR_MS
    last_close = np.minimum(closes_ms + reach_ms, end_ms)
    is_per_bar = asset in BULK_TABLES and BULK_TABLES[asset].is_per_bar
    end = -(-last_close // HOUR_MS) * HOUR_MS if is_per_bar else last_close // HOUR_MS * HOUR_MS
    end = np.maximum(end, first + HOUR_MS)
    breaks = np.flatnonzero(first[1:] > end[:-1])
    starts, ends = first[np.concatenate(([0], breaks + 1))], end[np.concatenate((breaks, [len(end) - 1]))]
    return [Window(start, stop) for start, stop in zip(starts.tolist(), ends.tolist(), strict=True)]


def recorded_spans(recorded: Recorded, span: Window) -> list[Window]:
    """Return the parts of a span whose hours are recorded, in order; the ledger holds all of the span."""
    is_there = recorded.within(span).is_recorded
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_there, [False])).astype(np.int8)))
    times = (span.start_ms + edges * HOUR_MS).tolist()
    return [Window(start, end) for start, end in zip(times[::2], times[1::2], strict=True)]


def mark_stale(
    cursor: Cursor,
    series_id: int,
    run_id: int,
    closes_ms: Int64,
    end_ms: int,
    reach: Reach,
    reason: str,
    source: str = "",
) -> None:
    """Mark what the changed bars reach; ids are handed out in the order of commits (see `clear`).

    Hours that the asset `source` was never recorded for are left out: nothing there can be out of date.
    """
    if not len(closes_ms) or not reach:
        return
    cursor.execute(_IN_COMMIT_ORDER)
    spans = [(asset, span) for asset, ms in reach.items() for span in stale_spans(asset, closes_ms, ms, end_ms)]
    if source:
        edges = Window(min(span.start_ms for _, span in spans), max(span.end_ms for _, span in spans))
        (recorded,) = read_days(cursor, source, [(series_id, whole_days(edges))])
        spans = [(asset, part) for asset, span in spans for part in recorded_spans(recorded, span)]
    cursor.executemany(
        _MARK,
        [(moment(span.start_ms), moment(span.end_ms), series_id, run_id, asset, reason) for asset, span in spans],
    )


def mark_window(cursor: Cursor, asset: str, series_id: int, run_id: int, window: Window, reason: str) -> None:
    """Mark one window of an asset."""
    cursor.execute(_IN_COMMIT_ORDER)
    cursor.execute(_MARK, (moment(window.start_ms), moment(window.end_ms), series_id, run_id, asset, reason))


def clear(cursor: Cursor, asset: str, windows: Sequence[tuple[int, Window]], mark: int) -> None:
    """Clear the marks up to `mark` over the window of each series, given once; what sticks out of it stays marked.

    `mark` is the highest when the run began to read: since ids follow the order of commits, whatever was corrected
    after that keeps its mark.
    """
    spans = [(series_id, window.start_ms, window.end_ms) for series_id, window in windows]
    cursor.execute(_CLEAR, span_parameters(spans) | {"asset": asset, "mark": mark})


def read_stale_ranges(cursor: Cursor, market: Market | None, asset: str | None) -> list[StaleRange]:
    """Return the marks, oldest first."""
    symbol, timeframe = (market.symbol, market.timeframe) if market else (None, None)
    cursor.execute(_READ, {"symbol": symbol, "timeframe": timeframe, "asset": asset})
    return [
        StaleRange(mark, name, Market(symbol, timeframe), Window(epoch_ms(start), epoch_ms(end)), reason, run_id)
        for mark, name, symbol, timeframe, start, end, reason, run_id in cursor.fetchall()
    ]
