"""Until when a market without a verdict will be without one, if nothing else is missing from now on.

See `domain.features` for the window of bars, `domain.scoring.ranks` for the history that ranks need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.features.hourly import feature_lookback_bars
from regime_pipeline.domain.features.observations import Observations, lookback_hours
from regime_pipeline.domain.features.windows import has_values, locate
from regime_pipeline.domain.market_data.candles import concatenate
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import flat_bars
from regime_pipeline.domain.market_data.window import Int64, Window
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
    is_known = has_values(Observations.of(rows, market).column("status"))
    ahead = np.arange(1, policy.rank_observations + policy.min_ranked_observations + 1)
    moments = ((hour_ms + HOUR_MS) // every + ahead) * every
    is_whole = _is_whole(ws, market, hour_ms, moments)
    ranked = _ranked(is_known, is_whole, policy.rank_observations)
    ready = np.flatnonzero(is_whole & (ranked >= policy.min_ranked_observations))
    return int(moments[ready[0]]) if len(ready) else None


_READ = ("hour_start", "as_of_bar", "status")


def _is_whole(ws: Workspace, market: Market, hour_ms: int, moments: Int64) -> NDArray[np.bool_]:
    """Whether the window of features up to each moment is whole enough, if every bar from now on is there."""
    step, close_ms = market.step_ms, hour_ms + HOUR_MS
    start_ms = (close_ms // step - feature_lookback_bars(ws.policy)) * step
    known = ws.warehouse.read_candles(market, start_ms, close_ms // step * step)
    ahead = np.arange(close_ms // step * step, int(moments[-1]), step, dtype=np.int64)
    later = flat_bars(known, ahead, np.full(len(ahead), known.close[-1] if len(known) else 1))
    holes, window = ws.policy.candle_regime.holes, ws.policy.features.window_bars
    return has_values(locate(concatenate([known, later]), moments - HOUR_MS, window, holes).status)


def _ranked(is_known: NDArray[np.bool_], is_whole: NDArray[np.bool_], window: int) -> Int64:
    """Observations with values in the window before each one to come; int64, shape as `is_whole`."""
    every = np.concatenate([np.zeros(window, dtype=np.bool_), is_known, is_whole])
    counted = np.append(0, np.cumsum(every))
    place = window + len(is_known) + np.arange(len(is_whole))
    return np.asarray(counted[place] - counted[place - window], dtype=np.int64)
