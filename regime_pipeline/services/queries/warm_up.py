"""Until when a market without a verdict will be without one, if nothing else is missing from now on.

See `domain.features` for the window that must be whole, `domain.scoring.ranks` for the history that ranks need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.features.hourly import feature_lookback_bars
from regime_pipeline.domain.features.observations import Observations, lookback_hours
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.workspace import Workspace


def verdict_expected_ms(ws: Workspace, market: Market, hour_ms: int) -> int | None:
    """Return the close of the hour that will have a verdict again, epoch milliseconds UTC.

    Parameters
    ----------
    ws : Workspace
        Where candles and features are stored.
    market : Market
        A market whose newest hour has no verdict.
    hour_ms : int
        Start of that hour.

    Returns
    -------
    int or None
        None where nothing is stored to tell from. A lower bound: bars that stay away, and jumps of the price that
        restart a window, delay it.
    """
    every, policy = market.observation_ms, ws.policy.scores
    hours = lookback_hours(market, policy.rank_observations)
    rows = ws.warehouse.read_range("features", market, Window(hour_ms - hours * HOUR_MS, hour_ms + HOUR_MS), _READ)
    if not len(rows["hour_start"]):
        return None
    is_known = Observations.of(rows, market).column("status") == 0
    newest = (hour_ms + HOUR_MS) // every
    whole = _whole_from(ws, market, hour_ms + HOUR_MS)
    for ahead in range(1, policy.rank_observations + policy.min_ranked_observations + 1):
        moment = (newest + ahead) * every
        if moment >= whole and _ranked(is_known, whole, newest, ahead, every, policy.rank_observations) >= (
            policy.min_ranked_observations
        ):
            return moment
    return None


_READ = ("hour_start", "as_of_bar", "status")


def _whole_from(ws: Workspace, market: Market, close_ms: int) -> int:
    """When the window of features is whole again: so many bars after the newest bar that is absent."""
    bars, step = feature_lookback_bars(ws.policy), market.step_ms
    last = close_ms // step
    opened = ws.warehouse.read_candles(market, (last - bars) * step, last * step).open_time_ms // step
    is_there = np.zeros(bars, dtype=np.bool_)
    is_there[opened - (last - bars)] = True
    absent = np.flatnonzero(~is_there)
    first = last - bars + (int(absent[-1]) + 1 if len(absent) else 0)
    return (first + bars) * step


def _ranked(is_known: NDArray[np.bool_], whole: int, newest: int, ahead: int, every: int, window: int) -> int:
    """Observations with values among those before the one so many ahead, those still to come included."""
    before = is_known[max(len(is_known) - window + ahead - 1, 0) :]
    to_come = sum((newest + k) * every >= whole for k in range(max(1, ahead - window), ahead))
    return int(before.sum()) + to_come
