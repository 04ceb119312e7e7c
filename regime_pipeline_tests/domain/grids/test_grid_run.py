"""The grid simulator: exact books, and a price-by-price oracle that knows nothing of kernels."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.grid_run import GridRun, simulate_grid
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline_tests.domain.grids.factories import bars, grid

COARSE = {"tick": "1", "lower": "90", "upper": "110", "levels": 5, "limit_lower": None, "limit_upper": None}


@st.composite
def small_bars(draw: st.DrawFn) -> Candles:
    """A few bars between 80 and 120 that need not touch one another."""
    rows = []
    for number in range(draw(st.integers(1, 12))):
        start = draw(st.integers(90, 110) if not number else st.integers(80, 120))
        close = draw(st.integers(80, 120))
        high = draw(st.integers(max(start, close), 122))
        low = draw(st.integers(78, min(start, close)))
        rows.append([start, high, low, close])
    return bars(rows, scale=1)


CONFIGS = st.builds(
    lambda levels, spacing, maker, taker, capital: grid(
        **(
            COARSE
            | {
                "levels": levels,
                "spacing": spacing,
                "maker_fee_bps": maker,
                "taker_fee_bps": taker,
                "allocation_quote": capital,
            }
        )
    ),
    st.integers(2, 6),
    st.sampled_from(["arithmetic", "geometric"]),
    st.integers(0, 30),
    st.integers(0, 60),
    st.decimals("100", "5000", places=2),
)


class Books:
    """Books of one grid, kept price by price in fractions."""

    def __init__(self, config: GridConfig, candles: Candles, lots_per_unit: Fraction) -> None:
        self.lines = [Fraction(line) for line in config.lines]
        self.fees = [Fraction(fee) / 10_000 for fee in (config.maker_fee_bps, config.taker_fee_bps)]
        share = Fraction(config.allocation_quote) / config.levels
        self.amounts = [share / line * lots_per_unit // 1 / lots_per_unit for line in self.lines[1:]]
        self.cash = Fraction(config.allocation_quote) * lots_per_unit // 1 / lots_per_unit
        self.paid = self.gained = Fraction(0)
        self.trips = self.fills = 0
        self.held: dict[int, tuple[Fraction, bool]] = {}
        price = Fraction(int(candles.open[0]))
        for level, amount in enumerate(self.amounts):
            if self.lines[level] > price:
                self.cash -= amount * price
                self.paid += amount * price * self.fees[1]
                self.held[level] = (price, False)

    def step(self, price: int, is_down: bool) -> None:
        """The price arrives one tick further."""
        for level, amount in enumerate(self.amounts):
            if is_down and level not in self.held and self.lines[level] == price:
                self.cash -= amount * price
                self.paid += amount * price * self.fees[0]
                self.held[level] = (Fraction(price), True)
                self.fills += 1
            elif not is_down and level in self.held and self.lines[level + 1] == price:
                entry, is_grid_buy = self.held.pop(level)
                self.cash += amount * price
                self.paid += amount * price * self.fees[0]
                self.gained += amount * (price - entry)
                self.trips += is_grid_buy
                self.fills += 1

    def go(self, start: int, end: int) -> None:
        """Walk from one price to another, tick by tick; every price on the way is reached."""
        step = 1 if end > start else -1
        for price in range(start, end, step):
            self.step(price, step < 0)
        if end != start:
            self.step(end, step < 0)

    def equity(self, price: int) -> Fraction:
        return self.cash + sum(self.amounts[level] for level in self.held) * price - self.paid


def path_of(bar: tuple[int, ...]) -> list[int]:
    start, high, low, close = bar
    return [start, low, high, close] if start - low <= high - start else [start, high, low, close]


def rows_of(candles: Candles) -> list[tuple[int, ...]]:
    columns = (candles.open, candles.high, candles.low, candles.close)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(CONFIGS, small_bars())
@settings(max_examples=120, deadline=None)
def test_the_run_keeps_the_books_of_a_walk_price_by_price(config: GridConfig, candles: Candles) -> None:
    run = simulate_grid(config, candles)
    books = Books(config, candles, run.lots_per_unit)

    price = int(candles.open[0])
    for row, bar in enumerate(rows_of(candles)):
        for target in path_of(bar):
            books.go(price, target)
            price = target
        unit = run.unit
        assert int(run.cash[row]) * unit == books.cash
        assert int(run.inventory[row]) / run.lots_per_unit == sum(books.amounts[level] for level in books.held)
        assert int(run.realised[row]) * unit == books.gained
        assert (int(run.round_trips[row]), int(run.buys[row] + run.sells[row])) == (books.trips, books.fills)
        paid = (int(run.maker_notional[row]) * run.maker_fee + run.taker_notional * run.taker_fee) * unit
        assert paid == books.paid
        assert run.fees_quote[row] == pytest.approx(float(paid), rel=1e-12)
        assert run.equity_quote[row] == pytest.approx(float(books.equity(bar[3])), rel=1e-12)


@given(CONFIGS, small_bars())
@settings(max_examples=120, deadline=None)
def test_money_is_conserved_to_the_last_digit(config: GridConfig, candles: Candles) -> None:
    run = simulate_grid(config, candles)

    worth = run.cash + run.inventory * candles.close
    unrealised = run.inventory * candles.close - run.cost
    assert (worth - run.start_cash == run.realised + unrealised).all()
    assert (run.cash >= 0).all()
    assert (run.inventory >= 0).all()
    assert (run.sells - run.buys <= config.levels).all()
    fees = np.diff(run.maker_notional, prepend=0)
    assert (fees >= 0).all()
    assert ((fees > 0) == (np.diff(run.buys + run.sells, prepend=0) > 0)).all()
    net = run.realised * float(run.unit) - run.fees_quote
    np.testing.assert_allclose(run.net_quote, net, rtol=1e-12)
    np.testing.assert_allclose(
        run.equity_quote - run.start_cash * float(run.unit), net + unrealised * float(run.unit), rtol=0, atol=1e-8
    )
    assert (run.drawdown_quote >= 0).all()
    assert ((run.base_share >= 0) & (run.base_share <= 1)).all()


def one_trip(**update: Any) -> GridRun:
    """From the middle down one level and back up."""
    return simulate_grid(grid(**(COARSE | update)), bars([[100, 100, 98, 98], [98, 102, 98, 102]], scale=1))


def test_one_round_trip_earns_the_interval_less_two_fees() -> None:
    run = one_trip()
    amount = 1000 / 5 / 102  # the level from 98 to 102

    assert run.round_trips.tolist() == [0, 1]
    assert run.buys.tolist() == [1, 1]
    assert run.realised[-1] * float(run.unit) == pytest.approx(amount * 4, rel=1e-4)
    started = run.taker_notional * float(run.unit) * 0.001
    assert run.fees_quote[-1] == pytest.approx(started + amount * (98 + 102) * 0.001, rel=1e-4)
    assert one_trip(maker_fee_bps="0", taker_fee_bps="0").fees_quote.tolist() == [0.0, 0.0]


def test_the_start_is_balanced_and_paid_as_a_taker() -> None:
    run = simulate_grid(grid(**COARSE), bars([[100, 100, 100, 100]], scale=1))

    amounts = [200 / 106, 200 / 110]  # levels that buy at 102 and 106
    assert run.taker_notional * float(run.unit) == pytest.approx(sum(amounts) * 100, rel=1e-4)
    assert run.base_share[0] == pytest.approx(sum(amounts) * 100 / 1000, rel=1e-3)
    assert (run.buys[0], run.sells[0], run.inventory[0] * 100 - run.cost[0]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("bar", "trips"),
    [([100, 104, 97, 100], 1), ([100, 103, 96, 100], 0), ([100, 103, 97, 100], 1)],
)
def test_the_nearer_extreme_comes_first_and_the_low_in_a_tie(bar: list[int], trips: int) -> None:
    run = simulate_grid(grid(**COARSE), bars([bar], scale=1))

    assert run.round_trips.tolist() == [trips]  # the low first buys at 98 and the high sells at 102


def test_a_gap_between_bars_is_crossed() -> None:
    run = simulate_grid(grid(**COARSE), bars([[100, 100, 100, 100], [92, 92, 92, 92]], scale=1))

    assert run.buys.tolist() == [0, 2]
    assert run.drawdown_quote[-1] > 0


def test_lines_are_taken_in_ticks_of_the_candles() -> None:
    run = simulate_grid(grid(), bars([[10_000, 10_000, 9_800, 9_800], [9_800, 10_000, 9_800, 10_000]]))

    assert run.round_trips.tolist() == [0, 1]
    assert run.realised[-1] * float(run.unit) == pytest.approx(100 / 100 * 2, rel=1e-3)


def test_what_cannot_run_exactly_is_refused() -> None:
    flat = bars([[10_000] * 4])
    with pytest.raises(UsageError, match="cannot run over 0 candles of TEST-USDT_1h"):
        simulate_grid(grid(), flat[:0])
    with pytest.raises(UsageError, match="grid of BTC-USDT, version 1 .* cannot run over 1 candles"):
        simulate_grid(grid(symbol="BTC-USDT"), flat)
    with pytest.raises(UsageError, match="first open 120 lies outside the grid"):
        simulate_grid(grid(), bars([[12_000] * 4]))
    with pytest.raises(UsageError, match="line 90.005 .* not a whole tick at price_scale 100"):
        simulate_grid(grid(tick="0.005", lower="90.005"), flat)
    with pytest.raises(UsageError, match="2 candles of TEST-USDT_1h at 90000000000000 ticks are too many to be exact"):
        simulate_grid(
            grid(**(COARSE | {"lower": "88000000000000", "upper": "92000000000000", "allocation_quote": "9e14"})),
            bars([[90_000_000_000_000] * 4] * 2, scale=1),
        )


def test_amounts_of_cheap_and_dear_coins_have_enough_lots() -> None:
    cheap = grid(tick="0.00000001", lower="0.00000900", upper="0.00001100", limit_lower=None, limit_upper=None)
    run = simulate_grid(cheap, bars([[1_000, 1_000, 900, 1_000]], scale=10**8))

    assert run.lots_per_unit < 1
    assert run.round_trips[0] == 5
    assert Decimal("9999") < run.inventory[0] / 5 < Decimal("200000")
