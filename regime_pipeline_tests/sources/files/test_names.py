"""What a file's name says about its market, and when it contradicts the market asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.sources.files.names import read_name, said_by_name, said_by_text
from regime_pipeline.sources.files.table import BadFileError

MARKET = Market("BTC-USDT", "1h")
WORDS = st.sampled_from(["BTC", "BTCUSDT", "btcusdt", "swap", "PERP", "USDT", "1h", "60", "d", "binance", "x", "2024"])


@pytest.mark.parametrize(
    "name",
    [
        "candles.csv",
        "BTC_USDT-1h.feather",
        "btcusdt_1h.csv",
        "Binance_BTCUSDT_1h.csv",
        "BTCUSDT.csv",
        "bitstamp_like_BTC_8dec.csv",
        "my_btc_1h.csv",
        "minutes_as_1h.csv",
        "BINANCE_BTCUSDT, 60.csv",
        "okx_swap.json",
    ],
)
def test_names_that_agree_or_say_nothing(name: str) -> None:
    assert read_name(Path(name), MARKET, "auto") is None


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("ETH_USDT-1h.feather", "--market ETH-USDT_1h"),
        ("BTC_USDT-5m.feather", "--market BTC-USDT_5m"),
        ("BTC_USDT_USDT-1h-futures.feather", "--market BTC-USDT-PERP_1h"),
        ("Binance_ETHUSDT_1h.csv", "--market ETH-USDT_1h"),
        ("XBTUSD_60.csv", "--market BTC-USD_1h"),
        ("BTCUSD_PERP-1h-2024-01.csv", "--market BTC-USD-PERP_1h"),
    ],
)
def test_names_of_another_market_are_refused_with_the_market_to_name(name: str, todo: str) -> None:
    with pytest.raises(BadFileError) as refusal:
        read_name(Path(name), MARKET, "auto")
    assert todo in refusal.value.todo


@given(st.lists(WORDS, max_size=4), st.sampled_from("_- ,"), st.text(max_size=12))
def test_any_name_is_looked_at(words: list[str], mark: str, text: str) -> None:
    for name in (mark.join(words) + ".csv", text):
        said = said_by_name(name)
        assert said is None or said.pairs
        said_by_text(name)
