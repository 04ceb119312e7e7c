"""Editing markets.toml: markets are added and removed, comments stay, mistakes are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.market_list import add_market, remove_market
from regime_pipeline.services.universe import MarketSpec, load_universe

START = to_ms("2024-01-01T00:00:00Z")
TEXT = """# my markets
[partitions]
start = 2024-01-01T00:00:00Z

# the big one
[[markets]]
symbol = "BTC-USDT"
timeframes = ["1m", "1h"]  # minutes too
source = "files"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "markets.toml"
    path.write_text(TEXT)
    return path


def test_markets_are_added_and_removed_with_comments_kept(path: Path) -> None:
    market = Market("ETH-USDT", "1h")
    add_market(path, MarketSpec(market, "exchange", 100, "binance"), (START, None))
    assert [(s.market.key, s.source, s.exchange) for s in load_universe(path).specs][-1] == (
        "ETH-USDT_1h",
        "exchange",
        "binance",
    )
    with pytest.raises(UsageError, match="is listed in"):
        add_market(path, MarketSpec(market, "exchange", 100, "binance"), (START, None))
    remove_market(path, Market("BTC-USDT", "1m"))
    assert [m.key for m in load_universe(path).markets] == ["BTC-USDT_1h", "ETH-USDT_1h"]
    remove_market(path, market)
    remaining = path.read_text()
    assert all(comment in remaining for comment in ("# my markets", "# the big one", "# minutes too"))
    remove_market(path, Market("BTC-USDT", "1h"))
    assert load_universe(path).markets == ()
    with pytest.raises(UsageError, match="is not in"):
        remove_market(path, market)


def test_a_new_file_is_open_ended(tmp_path: Path) -> None:
    path = tmp_path / "markets.toml"
    add_market(path, MarketSpec(Market("BTC-USDT-PERP", "1h"), "simulated", 100), (START, None))
    universe = load_universe(path)
    assert (universe.start_ms, universe.end_ms, universe.markets[0].key) == (START, None, "BTC-USDT-PERP_1h")


def test_what_others_are_made_from_stays(path: Path) -> None:
    add_market(path, MarketSpec(Market("BTC-USDT", "15m"), "resampled", 100), (START, None))
    with pytest.raises(UsageError, match=r"BTC-USDT_15m is resampled from BTC-USDT_1m\. Remove BTC-USDT_15m first"):
        remove_market(path, Market("BTC-USDT", "1m"))


def test_an_exchange_must_be_named(path: Path) -> None:
    with pytest.raises(UsageError, match=r"market ETH-USDT: .*exchange = 'NAME' go together"):
        add_market(path, MarketSpec(Market("ETH-USDT", "1h"), "exchange", 100), (START, None))


def test_a_typo_names_the_symbol(path: Path) -> None:
    path.write_text(TEXT + '[[markets]]\nsymbol = "SOL-USDT"\ntimeframes = ["1h"]\nsource = "flies"\n')
    with pytest.raises(UsageError, match="market SOL-USDT, source: Input should be 'simulated', 'files'"):
        load_universe(path)
