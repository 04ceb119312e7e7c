"""Tests of `domain.candles`."""

from typing import Any

import numpy as np
import pytest

from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.domain.market_data.candles import MAX_TICKS, Candles, concatenate
from regime_pipeline.domain.market_data.market import HOUR_MS, Market

MARKET = Market("ETH-USDT", "1h")


def candles(**changes: Any) -> Candles:
    columns: dict[str, Any] = {
        "open_time_ms": np.arange(3, dtype=np.int64) * HOUR_MS,
        "open": np.array([10, 11, 12]),
        "high": np.array([12, 13, 14]),
        "low": np.array([9, 10, 11]),
        "close": np.array([11, 12, 13]),
        "volume": np.array([1.0, 0.0, 2.0]),
    }
    return Candles(MARKET, 100, **(columns | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"open_time_ms": np.array([0, 0, HOUR_MS])}, "row 1.*unsorted or duplicate"),
        ({"open_time_ms": np.array([0, 2, 1]) * HOUR_MS}, "row 2.*unsorted or duplicate"),
        ({"open_time_ms": np.array([0, HOUR_MS, 2 * HOUR_MS + 1])}, "row 2.*not a multiple of 1h"),
        ({"low": np.array([0, 10, 11])}, "row 0.*zero or negative"),
        ({"high": np.array([12, 13, MAX_TICKS + 1])}, "row 2.*too large"),
        ({"high": np.array([12, 11, 14])}, "row 1.*high is below"),
        ({"low": np.array([9, 12, 11])}, "row 1.*low is above"),
        ({"volume": np.array([1.0, -1.0, 2.0])}, "row 1.*volume"),
        ({"volume": np.array([1.0, 1.0, np.nan])}, "row 2.*volume"),
        ({"volume": np.array([1.0])}, "different lengths"),
    ],
)
def test_broken_candles_cannot_exist(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadCandlesError, match=says):
        candles(**changes)


def test_prices_round_to_the_nearest_tick_and_back() -> None:
    prices = [np.array([1.006]), np.array([1.02]), np.array([0.994]), np.array([1.01])]

    made = Candles.from_prices(MARKET, 100, np.array([0]), prices, np.array([1.0]))

    assert (made.open[0], made.high[0], made.low[0], made.close[0]) == (101, 102, 99, 101)
    assert made.prices("close").tolist() == [1.01]


def test_a_price_that_is_not_a_number_is_named() -> None:
    prices = [np.array([1.0, 1.0]), np.array([1.0, np.inf]), np.array([1.0, 1.0]), np.array([1.0, 1.0])]

    with pytest.raises(BadCandlesError, match="1970-01-01T01:00:00Z.*row 1.*not finite"):
        Candles.from_prices(MARKET, 100, np.array([0, HOUR_MS]), prices, np.ones(2))


def test_slices_keep_every_column() -> None:
    whole = candles()

    assert whole[1:].close.tolist() == [12, 13]
    assert whole.between(HOUR_MS, 2 * HOUR_MS).open.tolist() == [11]
    assert whole.closed_by(2 * HOUR_MS).open.tolist() == [10, 11]
    assert whole.closed_by(2 * HOUR_MS - 1).open.tolist() == [10]
    assert whole.close_time_ms.tolist() == [HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS]
    assert concatenate([whole[:1], whole[1:]]).low.tolist() == whole.low.tolist()
    assert len(Candles.empty(MARKET, 10)) == 0


def test_overlapping_parts_do_not_join() -> None:
    with pytest.raises(BadCandlesError, match="duplicate"):
        concatenate([candles(), candles()])
