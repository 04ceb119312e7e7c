"""Parsing of symbols: spellings, ambiguous splits, and any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data import symbols
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.symbols import parse_symbol


@pytest.fixture(autouse=True)
def nothing_is_cached() -> None:
    """Spellings that another test has parsed already would not be parsed here."""
    symbols._parse.cache_clear()


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("ethusdt", "ETH-USDT"),
        ("ETH/USDT", "ETH-USDT"),
        ("BTCUSD", "BTC-USD"),
        ("BTC-USDT-PERP", "BTC-USDT-PERP"),
        ("BTC/USDT:USDT", "BTC-USDT-PERP"),
        ("BTC/USD:BTC", "BTC-USD-PERP"),
        ("btcusd_perp", "BTC-USD-PERP"),
        ("BTCUSDT.P", "BTC-USDT-PERP"),
        ("BTC-USDT-SWAP", "BTC-USDT-PERP"),
        ("PERP-USDT", "PERP-USDT"),
        ("PERPUSDT", "PERP-USDT"),
        ("币安人生-USDT", "币安人生-USDT"),
        ("币安人生usdt", "币安人生-USDT"),
    ],
)
def test_spellings(text: str, symbol: str) -> None:
    assert parse_symbol(text) == symbol
    assert parse_symbol(symbol) == symbol
    assert Market.parse(f"{text}_1h") == Market(symbol, "1h")


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("BNBUSD", ["BN-BUSD", "BNB-USD"]),
        ("DOTUSD", ["DO-TUSD", "DOT-USD"]),
        ("XBTUSD", ["XB-TUSD", "XBT-USD"]),
        ("SHIBUSD", ["SHI-BUSD", "SHIB-USD"]),
        ("USDTUSD", ["USD-TUSD", "USDT-USD"]),
        ("BTCFDUSD", ["BTC-FDUSD", "BTCFD-USD"]),
    ],
)
def test_a_symbol_with_several_splits_is_refused_with_them_unless_one_is_known(
    text: str, candidates: list[str]
) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_symbol(text)
    assert all(name in str(refusal.value) for name in candidates)
    for name in candidates:
        assert parse_symbol(text, {name, "ETH-USDT"}) == name
    with pytest.raises(UsageError, match=f"can be {candidates[1]} or {candidates[0]}|can be {candidates[0]} or"):
        parse_symbol(text, set(candidates))


@pytest.mark.parametrize(
    "text", ["BTC-USDT-240329", "BTC/USDT:USDT-240329", "BTC-PERP", "BTC-USD-USDT", "A B-USDT", "A/../B"]
)
def test_what_is_not_a_symbol(text: str) -> None:
    with pytest.raises(UsageError):
        parse_symbol(text)


@given(st.text(max_size=20))
def test_any_text_is_a_symbol_or_refused_and_a_symbol_stays_itself(text: str) -> None:
    try:
        symbol = parse_symbol(text)
    except UsageError:
        return
    assert parse_symbol(symbol) == symbol
    assert "/" not in symbol
    assert "." not in symbol
