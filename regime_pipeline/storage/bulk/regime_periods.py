"""`regime_period`: runs of one simplified regime, kept in step with `candle_regime` in the same transaction.

A gap in the candles ends a period. See `services.queries.candle_regimes` for queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED_OF_STATE
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.batch import Batch
from regime_pipeline.storage.bulk.columns import KINDS, Rows, StoredColumn, joined
from regime_pipeline.storage.bulk.statements import (
    SPANS,
    KeySpan,
    copy_rows,
    delete,
    epoch_ms,
    read_spans,
    series_values,
    span_parameters,
)
from regime_pipeline.storage.pool import Cursor

_TABLE: Final = "regime_period"
_FOREVER_MS: Final = 250_000_000_000_000
_NEIGHBOURS: Final = sql.SQL(
    "SELECT (SELECT max(p.t0) FROM regime_period p WHERE p.series_id = r.series_id AND p.t0 < r.first), "
    "a.t1, a.is_open FROM {spans} LEFT JOIN LATERAL (SELECT p.t1, p.is_open FROM regime_period p "
    "WHERE p.series_id = r.series_id AND p.t0 > r.until ORDER BY p.t0 LIMIT 1) AS a ON true ORDER BY r.place"
).format(spans=SPANS)
_COLUMNS: Final = (
    StoredColumn("t0", "time"),
    StoredColumn("t1", "time"),
    StoredColumn("n", "int"),
    StoredColumn("conf_avg", "real"),
    StoredColumn("conf_min", "real"),
    StoredColumn("conf_max", "real"),
    StoredColumn("regime", "short"),
)


def build_periods(rows: dict[str, NDArray[Any]], step_ms: int) -> dict[str, NDArray[Any]]:
    """Return the periods of sorted `candle_regime` rows.

    Parameters
    ----------
    rows : dict of ndarray
        `open_time` (int64 epoch milliseconds), `state` (int16), `confidence` (float32).
    step_ms : int
        Length of a bar.

    Returns
    -------
    dict of ndarray
        t0 and t1 (open of the first bar, close of the last), n bars, regime (index into `SIMPLIFIED`), conf_avg,
        conf_min, conf_max.
    """
    times: Int64 = rows["open_time"]
    regime = SIMPLIFIED_OF_STATE[rows["state"]]
    confidence = rows["confidence"]
    is_first = np.ones(len(times), dtype=np.bool_)
    is_first[1:] = (np.diff(times) != step_ms) | (regime[1:] != regime[:-1])
    first = np.flatnonzero(is_first)
    n = np.diff(np.append(first, len(times)))
    if not len(first):
        return {column.name: np.empty(0, dtype=KINDS[column.kind].dtype) for column in _COLUMNS}
    return {
        "t0": times[first],
        "t1": times[first + n - 1] + step_ms,
        "n": n.astype(np.int32),
        "conf_avg": (np.add.reduceat(confidence.astype(np.float64), first) / n).astype(np.float32),
        "conf_min": np.minimum.reduceat(confidence, first),
        "conf_max": np.maximum.reduceat(confidence, first),
        "regime": regime[first].astype(np.int16),
    }


@dataclass(frozen=True, slots=True)
class Touched:
    """Changed rows of one market.

    Parameters
    ----------
    batch : Batch
        What `candle_regime` now holds in the batch's window; only bars outside it are read.
    first_ms, last_ms : int
        Open times of the first and the last bar that was added, changed or removed.
    """

    batch: Batch
    first_ms: int
    last_ms: int


def rebuild_periods(cursor: Cursor, touched: Sequence[Touched]) -> None:
    """Rebuild the periods around the changed bars of each market, their neighbours included.

    The period before may grow or shrink at its end, the period after at its start; no other can change. The cursor is
    in the transaction of the change.
    """
    edges = _edges(cursor, touched)
    series = [each.batch.series_id for each in touched]
    rows = _rows_between(cursor, [each.batch for each in touched], [(start, end) for start, end, _ in edges])
    periods = [build_periods(of, each.batch.market.step_ms) for of, each in zip(rows, touched, strict=True)]
    spans = [(series_id, start, end) for series_id, (start, end, _) in zip(series, edges, strict=True)]
    delete(cursor, _TABLE, "t0", spans)
    values = [(column, joined([of[column.name] for of in periods])) for column in _COLUMNS]
    values.append(series_values([(series_id, len(of["t0"])) for series_id, of in zip(series, periods, strict=True)]))
    is_open = [_open_flags(len(of["t0"]), is_tail) for of, (_, _, is_tail) in zip(periods, edges, strict=True)]
    values.append((StoredColumn("is_open", "flag"), joined(is_open)))
    copy_rows(cursor, _TABLE, values)


def _edges(cursor: Cursor, touched: Sequence[Touched]) -> list[tuple[int, int, bool]]:
    """From where to where the periods of each market are rebuilt, and whether the last of them is open."""
    spans = [(each.batch.series_id, each.first_ms, each.last_ms) for each in touched]
    found: list[Any] = cursor.execute(_NEIGHBOURS, span_parameters(spans)).fetchall()
    return [
        (
            each.first_ms if before is None else epoch_ms(before),
            *((_FOREVER_MS, True) if after is None else (epoch_ms(after), is_open)),
        )
        for each, (before, after, is_open) in zip(touched, found, strict=True)
    ]


def _open_flags(count: int, is_tail: bool) -> NDArray[np.bool_]:
    flags = np.zeros(count, dtype=np.bool_)
    flags[-1:] = is_tail
    return flags


def _rows_between(
    cursor: Cursor, batches: Sequence[Batch], spans: Sequence[tuple[int, int]]
) -> list[dict[str, NDArray[Any]]]:
    """Return each market's rows with keys in its span: the batch's inside its window, stored ones before and after."""
    table = batches[0].table
    outside: list[KeySpan] = []
    for batch, (start, end) in zip(batches, spans, strict=True):
        first, last = table.key_bounds(batch.market, batch.window)
        outside += [(batch.series_id, start, min(first, end)), (batch.series_id, max(last, start), end)]
    wanted = [span for span in outside if span[1] < span[2]]
    stored = dict(zip(wanted, read_spans(cursor, table, wanted, table.names), strict=True)) if wanted else {}
    pairs = zip(outside[::2], outside[1::2], strict=True)
    return [
        _around(batch, span, stored.get(before), stored.get(after))
        for batch, span, (before, after) in zip(batches, spans, pairs, strict=True)
    ]


def _around(batch: Batch, span: tuple[int, int], before: Rows | None, after: Rows | None) -> dict[str, NDArray[Any]]:
    """The batch's rows in a span between the stored ones beside it."""
    inside = slice(*np.searchsorted(batch.times_ms, span).tolist())
    own = {name: batch.rows[name][inside] for name in batch.table.names}
    parts = [part for part in (before, own, after) if part is not None]
    return {name: joined([part[name] for part in parts]) for name in batch.table.names}
