"""What the local exchange trades: simulated markets, or real candles from files.

How bars are told stands in `tape`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from regime_pipeline.domain.market import Market
from regime_pipeline.domain.simulation_market import EPOCH_MS, MarketSimulation
from regime_pipeline.exchange_simulator.tape import Listing
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.merge import merge_rows
from regime_pipeline.sources.files.reader import read_file


def simulated(symbols: Iterable[str], seed: int, price_scale: int) -> dict[str, Listing]:
    """Return listings of simulated markets, the same as the source `simulated` has for the seed."""
    return {symbol: _simulated(Market(symbol, "1m").symbol, seed, price_scale) for symbol in symbols}


def _simulated(symbol: str, seed: int, price_scale: int) -> Listing:
    simulation = MarketSimulation(seed, symbol, price_scale)
    return Listing(lambda start, end: simulation.bars("1m", start, end), EPOCH_MS, price_scale)


def recorded(symbol: str, paths: Sequence[Path], options: ReadOptions) -> Listing:
    """Return a listing that trades the one-minute candles of files again.

    Raises
    ------
    BadFileError
        A file is refused.
    """
    market = Market(symbol, "1m")
    parts = [part for path in paths for part in read_file(path, market, options)]
    candles = merge_rows(parts, market, 2**52, options.price_scale).candles
    return Listing(candles.between, int(candles.open_time_ms[0]), candles.price_scale)
