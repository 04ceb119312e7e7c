"""The simulated exchange: any symbol, any timeframe, any span, closed candles only, always the same for a seed.

The clock is injected. See `domain.simulation.market` for the path of prices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline.domain.simulation.market import EPOCH_MS, MarketSimulation
from regime_pipeline.domain.simulation.regimes import Labels
from regime_pipeline.sources.base import Fetched

DEFAULT_PRICE_SCALE: Final = 100


class SimulatedSource:
    """Candles of simulated markets.

    Parameters
    ----------
    seed : int
        Not negative; the same seed gives the same markets always.
    clock : callable
        Returns now in epoch milliseconds UTC; a candle that closes later does not exist yet.
    price_scale : int
        Ticks per unit of quote currency.
    shift_ms : int
        How much later a bar opens here than in the simulation, milliseconds, whole hours: a known stretch of the
        simulation then stands at another time.

    Notes
    -----
    Longer bars are resampled from the minutes. As at real exchanges a bar exists if any of its minutes does: an hour
    with a five-minute outage has an hourly bar, and sixty minutes of outage on the hour leave none.
    """

    venue = "simulated"

    def __init__(
        self, seed: int, clock: Callable[[], int], price_scale: int = DEFAULT_PRICE_SCALE, shift_ms: int = 0
    ) -> None:
        self._clock = clock
        self._price_scale = price_scale
        self._shift_ms = shift_ms
        self._simulation = lru_cache(None)(partial(MarketSimulation, seed, price_scale=price_scale))

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the closed candles whose open time lies in [start_ms, end_ms) and confirm every closed one."""
        step = market.step_ms
        end_ms = min(end_ms, self._clock() // step * step)
        if end_ms <= start_ms:
            return Fetched(Candles.empty(market, self._price_scale), ())
        return Fetched(self._bars(market, start_ms, end_ms), ((start_ms, end_ms),))

    def _bars(self, market: Market, start_ms: int, end_ms: int) -> Candles:
        simulation, shift = self._simulation(market.symbol), self._shift_ms
        if not shift:
            return simulation.bars(market.timeframe, start_ms, end_ms)
        step = market.step_ms
        first, last = -(-start_ms // step) * step, -(-end_ms // step) * step
        minutes = simulation.bars("1m", first - shift, last - shift)
        moved = replace(minutes, open_time_ms=minutes.open_time_ms + shift)
        return moved if market.timeframe == "1m" else resample(moved, market.timeframe)

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the newest closed bar by the clock, epoch milliseconds UTC."""
        newest = self._clock() // market.step_ms * market.step_ms
        return newest if newest > EPOCH_MS + self._shift_ms else None

    def labels(self, symbol: str, start_ms: int, end_ms: int) -> Labels:
        """Return the true regime of each hour that starts in [start_ms, end_ms): codes into `regimes.LABELS`."""
        return self._simulation(Market(symbol, "1h").symbol).labels(start_ms - self._shift_ms, end_ms - self._shift_ms)
