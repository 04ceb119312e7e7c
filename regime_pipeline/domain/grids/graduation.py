"""Graduation of a probationary grid, judged at the close of every hour: what it did, and how the market is of late.

The grid is run over the bars since its start, since fills of the real one are known to its bot alone. The market is
judged by the newest bars, so that one bad hour is forgotten in time. See `probation` for its
parameters, `grid_run` for fills and fees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows, constant
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.grid_run import simulate_grid
from regime_pipeline.domain.grids.named_conditions import Condition, check
from regime_pipeline.domain.grids.versions import valid_at
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.verdicts.rules import RANGE_OK
from regime_pipeline.policy.grids import GraduationPolicy


@dataclass(frozen=True, slots=True)
class ProbationRecord:
    """What a probationary grid did since its start.

    Parameters
    ----------
    bars : int
        Observations (bars, or hours below one hour) closed since the start.
    range_ok_share : float
        Share of the newest `recent_bars` of them whose verdict is RANGE_OK; 0 before the first.
    round_trips : float
        Completed: bought at a line and sold at the next; NaN where the grid cannot be run over the bars.
    excursion_spacings : float
        Farthest close beyond an edge within the newest `recent_bars`, in spacings; 0 inside.
    net_quote : float
        Realised gain after fees, quote currency; NaN as `round_trips`.
    """

    bars: int
    range_ok_share: float
    round_trips: float
    excursion_spacings: float
    net_quote: float


def graduation(record: ProbationRecord, policy: GraduationPolicy) -> tuple[Condition, ...]:
    """Return every condition of graduation; the grid graduates when all are met."""
    return (
        check("BARS", record.bars, policy.min_bars),
        check("RANGE_OK_SHARE", record.range_ok_share, policy.range_ok_share_from),
        check("ROUND_TRIPS", record.round_trips, policy.min_round_trips),
        check("EXCURSION", record.excursion_spacings, policy.excursion_spacings_below),
        check("NET", record.net_quote, policy.net_quote_from),
    )


def has_graduated(checks: Sequence[Condition]) -> bool:
    """Return whether there are conditions and every one is met."""
    return bool(checks) and all(made.is_met for made in checks)


def is_probationary(config: GridConfig) -> bool:
    """Return whether a version is a running probationary grid."""
    return config.enabled and config.origin == "RESTART"


def probation_from_ms(hours: Int64, grids: Sequence[GridConfig]) -> int | None:
    """Return from when on bars and verdicts are needed to judge these hours, epoch ms; None if from nowhere."""
    places = set(valid_at(grids, hours + HOUR_MS).tolist()) - {-1}
    return min((grids[place].valid_from_ms for place in places if is_probationary(grids[place])), default=None)


def graduation_rows(
    hours: Int64, grids: Sequence[GridConfig], candles: Candles, verdicts: Rows, policy: GraduationPolicy
) -> NDArray[Any]:
    """Return the conditions at each hour's close as JSON.

    Parameters
    ----------
    hours : ndarray of int64, shape (n,)
        Starts of the hours, epoch milliseconds UTC, ascending.
    grids : sequence of GridConfig
        Versions of the symbol's grid, oldest first.
    candles : Candles
        Bars from `probation_from_ms` on; an hour uses those that opened since the grid's start and closed by its own
        end.
    verdicts : Rows
        `hour_start`, `as_of_bar` and `verdict` of the hours since then; one without a row is not RANGE_OK.
    policy : GraduationPolicy
        What graduation demands.

    Returns
    -------
    ndarray of object, shape (n,)
        A list of conditions without their sentences; `[]` where no probationary grid runs.
    """
    found, places = constant("[]", len(hours)), valid_at(grids, hours + HOUR_MS)
    for place in set(places.tolist()) - {-1}:
        config = grids[place]
        if is_probationary(config):
            at = np.flatnonzero(places == place)
            records = _records(hours[at] + HOUR_MS, config, candles, verdicts, policy.recent_bars)
            for row, record in zip(at.tolist(), records, strict=True):
                found[row] = orjson.dumps([made.stored() for made in graduation(record, policy)]).decode()
    return found


def _records(
    closes: Int64, config: GridConfig, candles: Candles, verdicts: Rows, recent_bars: int
) -> list[ProbationRecord]:
    """What the grid has done by each close, and what the market did of late."""
    start_ms, every = config.valid_from_ms, candles.market.observation_ms
    since = candles.between(start_ms, int(closes[-1])).closed_by(int(closes[-1]))
    first, done = (
        np.searchsorted(since.close_time_ms, moments, side="right")
        for moments in (closes - recent_bars * every, closes)
    )
    trips, net = _fills(config, since)
    seen = closes // every - start_ms // every
    share = _range_ok_bars(closes, start_ms, recent_bars, verdicts, candles) / np.clip(seen, 1, recent_bars)
    columns = (seen, share, trips[done], _excursions(config, since, first, done), net[done])
    return [ProbationRecord(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _fills(config: GridConfig, since: Candles) -> tuple[Float64, Float64]:
    """Round trips and net gain after so many bars; float64, shape (bars + 1,)."""
    if not len(since):
        return np.zeros(1), np.zeros(1)
    try:
        run = simulate_grid(config, since)
    except UsageError:  # it began outside its bounds, or its lines are finer than the prices that are stored
        unknown = np.append(0.0, np.full(len(since), np.nan))  # before its first bar it has done nothing, as ever
        return unknown, unknown
    return np.append(0.0, run.round_trips.astype(np.float64)), np.append(0.0, run.net_quote)


def _excursions(config: GridConfig, since: Candles, first: NDArray[np.intp], last: NDArray[np.intp]) -> Float64:
    """Farthest close beyond an edge among the bars `[first, last)`, in spacings; float64, shape (n,)."""
    lower, upper, close = float(config.lower), float(config.upper), since.prices("close")
    beyond = np.maximum(lower - close, close - upper)
    farthest = [beyond[a:b].max(initial=0.0) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    return np.array(farthest, dtype=np.float64) / ((upper - lower) / config.levels)


def _range_ok_bars(closes: Int64, start_ms: int, recent_bars: int, verdicts: Rows, candles: Candles) -> Float64:
    """Observations that are RANGE_OK, of those since the start among the newest by each close; float64, shape (n,)."""
    every = candles.market.observation_ms
    known = Observations.of(verdicts, candles.market)
    is_ok = known.column("verdict") == RANGE_OK
    is_ok &= (known.first + np.arange(len(is_ok)) + 1) * every > start_ms
    counted = np.append(0, np.cumsum(is_ok))
    newest = closes // every - known.first
    before, upto = (counted[np.clip(place, 0, len(is_ok))] for place in (newest - recent_bars, newest))
    return np.asarray(upto - before, dtype=np.float64)
