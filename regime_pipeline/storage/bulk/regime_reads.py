"""Candle regimes as of one moment: what is stored, which of it is current, and the candles to compute the rest from.

One statement reads everything, so an answer never mixes two states of a series that is being rewritten; candles that
are needed too are of the same moment. See `domain.candle_regimes` for the classification.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64, Window, hour_of_close
from regime_pipeline.storage.bulk.columns import CANDLES
from regime_pipeline.storage.bulk.ledger import Recorded, read_days, whole_days
from regime_pipeline.storage.bulk.statements import ONE_MOMENT, epoch_ms, moment, read_arrays
from regime_pipeline.storage.pool import Cursor
from regime_pipeline.storage.series_and_runs import Series

_RUNS_OF: Final = "SELECT run_id FROM runs WHERE config_hash = %s AND run_id = ANY(%s)"
_DIRTY: Final = "SELECT from_time, to_time FROM dirty_range WHERE asset = %s AND series_id = %s ORDER BY 1"
_BAR: Final = ("open", "high", "low", "close")


def recorded_hours(cursor: Cursor, asset: str, series: Series, window: Window) -> Recorded:
    """Return the ledger of an asset over a window."""
    (recorded,) = read_days(cursor, asset, [(series.series_id, whole_days(window))])
    return recorded.within(window)


def valid_hours(cursor: Cursor, series: Series, asset: str, recorded: Recorded, config_hash: str) -> NDArray[np.bool_]:
    """Return which hours of an asset are of this configuration and not marked stale, bool, shape (hours,)."""
    runs = [int(run) for run in np.unique(recorded.runs)]
    current = [row[0] for row in cursor.execute(_RUNS_OF, (config_hash, runs)).fetchall()]
    dirty = cursor.execute(_DIRTY, (asset, series.series_id)).fetchall()
    stale = [(epoch_ms(first), epoch_ms(until)) for first, until in dirty]
    return valid_rows(recorded.window.hours, recorded.runs, current, stale)


def valid_rows(
    hours: Int64, writers: NDArray[np.int32], current_runs: ArrayLike, stale: Iterable[tuple[int, int]]
) -> NDArray[np.bool_]:
    """Return which hours hold: one of the current runs wrote them, and they lie in no stale span; shape (hours,).

    Parameters
    ----------
    hours : ndarray of int64
        Starts, epoch milliseconds UTC.
    writers : ndarray of int32
        Run that wrote each hour last; 0 where nothing is recorded, which no run has.
    current_runs : array_like of int
        Runs of the wanted configuration.
    stale : iterable of tuple of int
        Half-open spans of hours that corrections have made stale, epoch milliseconds UTC.
    """
    holds: NDArray[np.bool_] = np.isin(writers, current_runs)
    for first, until in stale:
        holds &= ~((hours >= first) & (hours < until))
    return holds


def candles_of(cursor: Cursor, series: Series, market: Market, start_ms: int, end_ms: int) -> Candles:
    """Return the candles that open in [start, end)."""
    rows = read_arrays(cursor, CANDLES, series.series_id, start_ms, end_ms, CANDLES.names)
    prices = [rows[name] for name in _BAR]
    return Candles.from_prices(market, series.price_scale, rows["open_time"], prices, rows["volume"])


_STATE: Final = (
    "concat_ws(' ', (SELECT concat(count(*), ':', sum(xmin::text::int8)) FROM partition_ledger WHERE asset = 'candles' "
    "AND series_id = %(series)s AND day >= {start} AND day < {end}), "
    "(SELECT concat(count(*), ':', sum(xmin::text::int8)) FROM partition_ledger WHERE asset = 'candle_regime' "
    "AND series_id = %(series)s AND day >= {start} AND day < {end}), "
    "(SELECT concat(count(*), ':', sum(xmin::text::int8)) FROM dirty_range WHERE asset = 'candle_regime' "
    "AND series_id = %(series)s))"
)
"""Counts the rows that tell of every write, and adds up the transactions that made them.

Writers of one asset of a market follow each other under a lock, so a row that replaces another comes from a later
transaction: with the same count, the sum has grown.
"""
_HOLDS: Final = f"SELECT {_STATE.format(start='%(start)s', end='%(end)s')}"
READ_REGIMES: Final = (
    "WITH bars AS MATERIALIZED ((SELECT open_time FROM candles WHERE series_id = %(series)s "
    "AND open_time >= %(start)s AND open_time < %(end)s ORDER BY open_time DESC LIMIT %(limit)s) "
    "UNION ALL (SELECT open_time FROM candle_regime WHERE series_id = %(series)s "
    "AND NOT EXISTS (SELECT FROM candles WHERE series_id = %(series)s) "
    "AND open_time >= %(start)s AND open_time < %(end)s ORDER BY open_time DESC LIMIT %(limit)s)), "
    "span AS MATERIALIZED (SELECT COALESCE(min(open_time), %(start)s) AS start, "
    "CASE count(*) WHEN %(limit)s THEN min(open_time) ELSE %(start)s END - %(reach)s AS seen FROM bars), "
    "days AS MATERIALIZED (SELECT day, run_id FROM partition_ledger WHERE asset = 'candle_regime' "
    "AND series_id = %(series)s AND day >= (SELECT start FROM span) - interval '1 day' AND day < %(last_day)s) "
    "SELECT (SELECT array_agg(open_time) FROM bars), times, states, confidences, recorded, runs, "
    "(SELECT array_agg(run_id) FROM runs WHERE config_hash = %(hash)s "
    "AND run_id IN (SELECT DISTINCT unnest(run_id) FROM days)), dirty_from, dirty_to, "
    "{state} "
    "FROM (SELECT array_agg(open_time) AS times, array_agg(state) AS states, array_agg(confidence) AS confidences "
    "FROM (SELECT open_time, state, confidence FROM candle_regime WHERE series_id = %(series)s "
    "AND open_time >= (SELECT start FROM span) AND open_time < %(end)s ORDER BY open_time) AS r) AS rows, "
    "(SELECT array_agg(day) AS recorded, array_agg(run_id) AS runs FROM days) AS ledger, "
    "(SELECT array_agg(from_time) AS dirty_from, array_agg(to_time) AS dirty_to FROM dirty_range "
    "WHERE asset = 'candle_regime' AND series_id = %(series)s) AS dirty"
).replace("{state}", _STATE.format(start="(SELECT seen FROM span)", end="%(last_day)s"))


@dataclass(frozen=True, slots=True)
class RegimeQuery:
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

    @property
    def reach_ms(self) -> int:
        """How long before a regime's open the days begin that it depends on."""
        return self.lookback_bars * self.market.step_ms + DAY_MS

    @property
    def last_day_ms(self) -> int:
        """End of the days in which the wanted bars may close."""
        return self.end_ms + self.market.step_ms + DAY_MS


class ReadVersion(NamedTuple):
    """What the tables were like when something was read: the days it depends on, and a text that changes with them."""

    start_ms: int
    end_ms: int
    state: str


@dataclass(frozen=True, eq=False)
class StoredRegimes:
    """One entry per candle of the span, in order; of a market without candles, one per stored regime that holds.

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
    mark : ReadVersion
        While `is_at_version`, reading again would give the same.
    """

    open_time_ms: Int64
    state: NDArray[np.int16]
    confidence: Float64
    is_current: NDArray[np.bool_]
    candles: Candles | None
    mark: ReadVersion


class _Answer(NamedTuple):
    """The one row of `READ_REGIMES`, absent arrays as empty ones."""

    bars: Int64
    times: Int64
    states: NDArray[np.int16]
    confidences: NDArray[np.float32]
    days: Int64
    runs: NDArray[np.int32]
    current_runs: NDArray[np.int32]
    dirty_from: Int64
    dirty_to: Int64
    state: str


def ask_state(cursor: Cursor, series: Series, mark: ReadVersion) -> None:
    """Send the question that `is_at_version` answers."""
    span = {"series": series.series_id, "start": moment(mark.start_ms), "end": moment(mark.end_ms)}
    cursor.execute(_HOLDS, span, prepare=True)


def is_at_version(cursor: Cursor, mark: ReadVersion) -> bool:
    """Tell whether nothing was written since that what was read then depends on."""
    found: Any = cursor.fetchone()
    return bool(found[0] == mark.state)


def ask_regimes(cursor: Cursor, series: Series, wanted: RegimeQuery) -> None:
    """Send the one statement that reads what is stored, but for the candles, for `stored_regimes`."""
    parameters = {
        "series": series.series_id,
        "start": moment(wanted.start_ms),
        "end": moment(wanted.end_ms),
        "last_day": moment(wanted.last_day_ms),
        "limit": wanted.limit,
        "reach": timedelta(milliseconds=wanted.reach_ms),
        "hash": wanted.config_hash,
    }
    cursor.execute(READ_REGIMES, parameters, prepare=True)


def stored_regimes(cursor: Cursor, wanted: RegimeQuery) -> StoredRegimes:
    """Return what `ask_regimes` has read; the candles are left out."""
    row: Any = cursor.fetchone()
    arrays: Any = (np.empty(0, dtype=np.int64) if value is None else value for value in row)
    answer = _Answer(*arrays)
    opened = answer.bars[::-1]
    at = np.searchsorted(answer.times, opened)
    is_there = np.append(answer.times, -1)[at] == opened
    is_current = is_there & _hours_hold(answer, hour_of_close(wanted.market, opened))
    state = np.where(is_current, np.append(answer.states, 0)[at], 0).astype(np.int16)
    confidence = np.where(is_current, np.append(answer.confidences, 0.0)[at], 0.0).astype(np.float64)
    first = int(opened[0]) if len(opened) == wanted.limit else wanted.start_ms
    mark = ReadVersion(first - wanted.reach_ms, wanted.last_day_ms, answer.state)
    return StoredRegimes(opened, state, confidence, is_current, None, mark)


def with_candles(cursor: Cursor, series: Series, wanted: RegimeQuery, found: StoredRegimes) -> StoredRegimes:
    """Add the candles where anything is not current, as of one moment, in the transaction of the cursor.

    What was found is read again only if something was written since.
    """
    cursor.execute(ONE_MOMENT)
    ask_state(cursor, series, found.mark)
    if not is_at_version(cursor, found.mark):
        ask_regimes(cursor, series, wanted)
        found = stored_regimes(cursor, wanted)
    if found.is_current.all():
        return found
    start_ms = int(found.open_time_ms[0]) - wanted.lookback_bars * wanted.market.step_ms
    end_ms = int(found.open_time_ms[-1]) + wanted.market.step_ms
    candles = candles_of(cursor, series, wanted.market, start_ms, end_ms)
    return replace(found, candles=candles) if len(candles) else _held(found)


def _held(found: StoredRegimes) -> StoredRegimes:
    """What holds: regimes of another policy cannot be computed again where there are no candles."""
    at = found.is_current
    return replace(
        found,
        open_time_ms=found.open_time_ms[at],
        state=found.state[at],
        confidence=found.confidence[at],
        is_current=at[at],
    )


def _hours_hold(answer: _Answer, hours: Int64) -> NDArray[np.bool_]:
    """Tell which hours some run of the wanted policy has written and no correction has made stale since."""
    if not len(answer.days):
        return np.zeros(len(hours), dtype=np.bool_)
    order = np.argsort(answer.days)
    days, runs = answer.days[order], answer.runs[order]
    day = np.clip(np.searchsorted(days, hours, side="right") - 1, 0, None)
    offset = (hours - days[day]) // HOUR_MS
    is_recorded = (offset >= 0) & (offset < DAY_MS // HOUR_MS)
    writers = np.where(is_recorded, runs[day, np.where(is_recorded, offset, 0)], 0)
    stale = zip(answer.dirty_from.tolist(), answer.dirty_to.tolist(), strict=True)
    return valid_rows(hours, writers, answer.current_runs, stale)
