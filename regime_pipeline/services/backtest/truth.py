"""The true regimes of simulated markets; a market counts as simulated only if the simulator made its very prices.

Labels of real markets do not exist; see `hindsight`.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candles import COLUMNS, Candles
from regime_pipeline.domain.market import HOUR_MS
from regime_pipeline.domain.simulation_market import EPOCH_MS, MarketSimulation
from regime_pipeline.domain.window import Int64
from regime_pipeline.services.judgement.tracks import ABSTAIN, CLASS_OF_LABEL, Classes

_PROBE_BARS = 100


def true_classes(candles: Candles, hours: Int64, seed: int) -> Classes | None:
    """Return the true class of each hour.

    Parameters
    ----------
    candles : Candles
        Stored candles of the market.
    hours : ndarray of int64, shape (n,)
        Starts of hours, epoch milliseconds UTC, ascending.
    seed : int
        Of the simulator.

    Returns
    -------
    ndarray of int8, shape (n,), or None
        Codes into `tracks.CLASSES`; None unless every stored candle is one of the simulator's, to the last tick: no
        name and no setting makes a market simulated.
    """
    if not len(candles) or not len(hours) or candles.open_time_ms[0] < EPOCH_MS:
        return None
    simulation = MarketSimulation(seed, candles.market.symbol, candles.price_scale)
    if not (_is_made_by(simulation, candles[:_PROBE_BARS]) and _is_made_by(simulation, candles)):
        return None
    first = max(int(hours[0]), EPOCH_MS)
    labels = CLASS_OF_LABEL[simulation.labels(first, int(hours[-1]) + HOUR_MS)]
    found = np.full(len(hours), ABSTAIN, dtype=np.int8)
    is_listed = hours >= first
    found[is_listed] = labels[(hours[is_listed] - first) // HOUR_MS]
    return found


def _is_made_by(simulation: MarketSimulation, candles: Candles) -> bool:
    first, last = int(candles.open_time_ms[0]), int(candles.close_time_ms[-1])
    made = simulation.bars(candles.market.timeframe, first, last)
    made = made[np.isin(made.open_time_ms, candles.open_time_ms)]
    return all(np.array_equal(getattr(made, name), getattr(candles, name)) for name in COLUMNS)
