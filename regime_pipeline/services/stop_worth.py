"""What the advice to stop placing orders was worth: the same grid, followed and not, over the candles that came.

An exact replay, bar by bar; see `domain.grids.grid_run`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regime_pipeline.domain.grids.advice import STOP_PLACING
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.grid_run import simulate_grid
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StopWorth:
    """One grid from its first bar to the newest, with and without its first advice to stop placing.

    Parameters
    ----------
    config : GridConfig
        The grid.
    advised_ms : int
        Close of the hour whose advice it was, epoch milliseconds UTC.
    left_ms : int or None
        First close outside the grid, epoch milliseconds UTC; None while there is none.
    followed, ignored : float
        Cash and inventory at the newest close after fees, quote currency: no order since the advice, and what had been
        bought kept; or the grid left running.
    """

    config: GridConfig
    advised_ms: int
    left_ms: int | None
    followed: float
    ignored: float

    @property
    def saved(self) -> float:
        """What following it saved, quote currency; negative where it cost."""
        return self.followed - self.ignored


def stop_worth(ws: Workspace, market: Market, config: GridConfig, until_ms: int) -> StopWorth | None:
    """Return what the first advice to stop placing was worth to a grid that is enabled.

    Parameters
    ----------
    ws : Workspace
        Where candles and advice are stored.
    market : Market
        Whose candles and advice.
    config : GridConfig
        A version of its symbol's grid, valid from a full hour inside the stored candles.
    until_ms : int
        Newest close, epoch milliseconds UTC.

    Returns
    -------
    StopWorth or None
        None where no hour advised it.
    """
    span = Window(config.valid_from_ms, until_ms)
    advice = ws.warehouse.read_range("grid_advice", market, span, ["hour_start", "action"])
    stops = advice["hour_start"][advice["action"] == STOP_PLACING]
    if not len(stops):
        return None
    advised_ms = int(stops[0]) + HOUR_MS
    run = simulate_grid(config, ws.warehouse.read_candles(market, span.start_ms, span.end_ms))
    row = int(np.searchsorted(run.candles.close_time_ms, advised_ms, side="right")) - 1
    close = run.candles.prices("close")
    held = float(run.inventory[row] * run.unit) * run.candles.price_scale
    outside = np.flatnonzero((close < float(config.lower)) | (close > float(config.upper)))
    return StopWorth(
        config=config,
        advised_ms=advised_ms,
        left_ms=int(run.candles.close_time_ms[outside[0]]) if len(outside) else None,
        followed=float(run.equity_quote[row]) + held * float(close[-1] - close[row]),
        ignored=float(run.equity_quote[-1]),
    )
