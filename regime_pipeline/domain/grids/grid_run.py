"""A grid run over candles: fills, fees, inventory, gains and equity, exact to the tick and the lot.

See `graduation` for the probationary grid that it judges, `evaluation.grid_strategies` for rules of when to run one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.window import Int64

_LEAST_LOTS: Final = 10_000
_LEGS: Final = 4
_MAX_SUM: Final = 2**62


@dataclass(frozen=True, eq=False)
class GridRun:
    """What a grid did over n candles.

    Integers count ticks of the candles, lots (`1 / lots_per_unit` of the base) and their product; so
    `cash + cost - start_cash - realised` is zero to the last digit, whatever was traded.

    Parameters
    ----------
    candles : Candles
        The bars.
    lots_per_unit : Fraction
        Lots per unit of the base, a power of ten.
    maker_fee, taker_fee : Fraction
        Shares of the notional.
    start_cash : int
        The capital, before the first purchase.
    taker_notional : int
        Notional of that first purchase.
    cash, inventory, cost, realised, maker_notional, buys, sells, round_trips : ndarray of int64, shape (n,)
        After each bar: cash before fees, base held, what it cost, gain of completed sales before fees, notional of
        all fills, and counts. A round trip is a buy at a line and the sale at the next.
    """

    candles: Candles
    lots_per_unit: Fraction
    maker_fee: Fraction
    taker_fee: Fraction
    start_cash: int
    taker_notional: int
    cash: Int64
    inventory: Int64
    cost: Int64
    realised: Int64
    maker_notional: Int64
    buys: Int64
    sells: Int64
    round_trips: Int64

    @property
    def unit(self) -> Fraction:
        """Quote currency per tick times lot."""
        return 1 / (self.candles.price_scale * self.lots_per_unit)

    @property
    def fees_quote(self) -> Float64:
        """Fees paid up to each bar, quote currency."""
        taker = float(self.taker_notional * self.taker_fee * self.unit)
        return np.asarray(self.maker_notional * float(self.maker_fee * self.unit) + taker, dtype=np.float64)

    @property
    def equity_quote(self) -> Float64:
        """Cash and inventory at each close after fees, quote currency."""
        worth = (self.cash + self.inventory * self.candles.close) * float(self.unit)
        return np.asarray(worth - self.fees_quote, dtype=np.float64)

    @property
    def net_quote(self) -> Float64:
        """Realised gain less every fee paid up to each bar, quote currency."""
        return np.asarray(self.realised * float(self.unit) - self.fees_quote, dtype=np.float64)

    @property
    def base_share(self) -> Float64:
        """Worth of the base held over that of everything before fees at each close, 0..1."""
        worth = self.inventory * self.candles.close
        return np.asarray(worth / (self.cash + worth), dtype=np.float64)

    @property
    def drawdown_quote(self) -> Float64:
        """Highest equity so far, the capital included, less equity at each close, quote currency."""
        start = float(self.start_cash * self.unit)
        highest = np.maximum(np.maximum.accumulate(self.equity_quote), start)
        return np.asarray(highest - self.equity_quote, dtype=np.float64)


def simulate_grid(config: GridConfig, candles: Candles) -> GridRun:
    """Run a grid from the first open to the last close.

    Parameters
    ----------
    config : GridConfig
        The grid. It starts balanced: levels above the level of the first open are bought there at once as a taker.
    candles : Candles
        Bars of the symbol, at least one; a gap is crossed in one leg from close to open.

    Notes
    -----
    Each level commits the same share of the allocation at its upper line, rounded down to a lot. A level that holds
    nothing has a buy at its lower line, one that holds has a sale at its upper line; both are filled at their own
    price, as a maker, once the path reaches it (a touch counts, which is optimistic at the very extreme of a bar). The
    path inside a bar is open, nearer extreme (the low if both are as near), other extreme, close; fees are paid in
    quote currency. Nothing is closed at the end.

    Raises
    ------
    UsageError
        There are no candles, they are another symbol's, the first open lies outside the grid, a line is off the ticks
        of the candles, or the amounts are too large to stay exact.
    """
    from regime_pipeline.domain.grids.kernels import walk_grid

    lines = _lines(config, candles)
    lots, lots_per_unit = _lots(config, lines, candles.price_scale)
    _refuse_inexact(lines, lots, candles)
    first = int(candles.open[0])
    entry = np.where(lines[:-1] > first, first, 0)
    taker_notional = int(lots[entry > 0].sum()) * first
    start_cash = int(Fraction(config.allocation_quote) * candles.price_scale * lots_per_unit)
    sums = walk_grid(candles.open, candles.high, candles.low, candles.close, lines, lots, entry)
    return GridRun(
        candles,
        lots_per_unit,
        Fraction(config.maker_fee_bps) / 10_000,
        Fraction(config.taker_fee_bps) / 10_000,
        start_cash,
        taker_notional,
        sums[0] + start_cash - taker_notional,
        *sums[1:],
    )


def _lines(config: GridConfig, candles: Candles) -> Int64:
    """Price lines in ticks of the candles."""
    if config.symbol != candles.market.symbol or not len(candles):
        raise UsageError(f"A {config} cannot run over {len(candles)} candles of {candles.market}.")
    lines = [Fraction(line) * candles.price_scale for line in config.lines]
    uneven = [line for line in lines if line.denominator != 1]
    if uneven:
        price = float(uneven[0] / candles.price_scale)
        raise UsageError(
            f"The line {price:.12g} of the {config} is not a whole tick at price_scale {candles.price_scale}.",
            "Use a tick that is a multiple of theirs.",
        )
    if not lines[0] <= int(candles.open[0]) <= lines[-1]:
        price = int(candles.open[0]) / candles.price_scale
        raise UsageError(f"The first open {price:.12g} lies outside the {config}.", "Start the grid around the price.")
    return np.array([int(line) for line in lines], dtype=np.int64)


def _lots(config: GridConfig, lines: Int64, price_scale: int) -> tuple[Int64, Fraction]:
    """Lots of each level, and lots per unit: the power of ten that gives the smallest level enough of them."""
    units = [Fraction(config.allocation_quote) * price_scale / (config.levels * int(line)) for line in lines[1:]]
    per_unit = Fraction(1)
    while min(units) * per_unit < _LEAST_LOTS:
        per_unit *= 10
    while min(units) * per_unit >= 10 * _LEAST_LOTS:
        per_unit /= 10
    return np.array([int(unit * per_unit) for unit in units], dtype=np.int64), per_unit


def _refuse_inexact(lines: Int64, lots: Int64, candles: Candles) -> None:
    """Refuse sums that could leave int64."""
    most = max(int(candles.high.max()), int(lines[-1])) * int(lots.sum())
    if most * (_LEGS * len(candles) + 2) >= _MAX_SUM:
        raise UsageError(
            f"{len(candles)} candles of {candles.market} at {int(candles.high.max())} ticks are too many to be exact.",
            "Run over fewer candles or a coarser price_scale.",
        )
