"""Tests of `domain.market` and `domain.errors`."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.errors import RegimeError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market, parse_symbol

SYMBOLS = st.from_regex(r"[A-Z0-9]{1,10}-[A-Z]{3,5}", fullmatch=True)


@given(SYMBOLS, st.sampled_from(sorted(TIMEFRAME_MINUTES)))
def test_a_market_is_read_as_it_is_printed(symbol: str, timeframe: str) -> None:
    market = Market(symbol, timeframe)

    assert Market.parse(str(market)) == market
    assert market.key == f"{symbol}_{timeframe}"
    assert market.step_ms == TIMEFRAME_MINUTES[timeframe] * 60_000
    assert market.observation_ms == max(market.step_ms, HOUR_MS)


@pytest.mark.parametrize("text", ["ETHUSDT", "eth-usdt", "ETH/USDT", "ETH_USDT", " ETH-USDT "])
def test_old_forms_of_a_symbol(text: str) -> None:
    assert parse_symbol(text) == "ETH-USDT"


@pytest.mark.parametrize("text", ["", "USDT", "ETH", "ETH-", "-USDT", "../etc", "ETH-USDT-2", "A" * 30])
def test_what_is_not_a_symbol_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a symbol"):
        parse_symbol(text)


@pytest.mark.parametrize(("text", "says"), [("ETH-USDT", "not a market"), ("ETH-USDT_6h", "not a timeframe")])
def test_what_is_not_a_market_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Market.parse(text)


def test_another_timeframe_of_the_symbol() -> None:
    assert Market("ETH-USDT", "1h").on("4h") == Market("ETH-USDT", "4h")


def test_an_error_crosses_processes_whole() -> None:
    error = UsageError("This is wrong.", "Do that.")

    copy = pickle.loads(pickle.dumps(error))

    assert isinstance(copy, RegimeError)
    assert (copy.what, copy.todo, str(copy)) == ("This is wrong.", "Do that.", "This is wrong. Do that.")
    assert str(RegimeError("Alone.")) == "Alone."
