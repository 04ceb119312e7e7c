"""Editing the list of markets: beginning one, adding and removing entries of markets.toml, with its comments kept.

See `universe` for reading and validating the list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market, parse_symbol
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.universe import MarketSpec, append_market, edit_document, load_universe, save_document

_STARTER: Final = """\
# The markets of this project home. Order is append-only: partition ranges follow it, so add new entries at the end.
# `regime markets add` adds them too, and `regime import` lists what it imports.

[partitions]
start = {start}   # the first hour; markets x hours should stay at or below 100,000
# end = 2030-01-01T00:00:00Z   # without an end, partitions grow with the clock

[[markets]]   # simulated, to look around; remove it when you have your own
symbol = "ALFA-USDT"
timeframes = ["1h"]   # 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 1d
source = "simulated"

# [[markets]]   # candles from files: `regime import FILES --market BTC-USDT_1m` writes this entry
# symbol = "BTC-USDT"
# timeframes = ["1m"]
# source = "files"

# [[markets]]   # the same symbol's longer bars, made of its 1m ones
# symbol = "BTC-USDT"
# timeframes = ["15m", "1h"]
# source = "resampled"

# [[markets]]   # live candles: pip install 'regime-pipeline[exchange]'
# symbol = "ETH-USDT"
# timeframes = ["1h"]
# source = "exchange"   # or "archive": bulk files first, the exchange for what they lack
# exchange = "binance"   # its name in ccxt
# price_scale = 100   # ticks per unit of quote currency
# until = 2029-01-01T00:00:00Z   # when it stopped trading
# absent_bars = "no_trade"   # a quiet market: a bar that the exchange does not have is an hour without a trade
"""


def write_starter(path: Path, start_ms: int) -> None:
    """Write a list to begin with, one simulated market and the rest as comments; raises `UsageError` if there is one.

    Parameters
    ----------
    path : Path
        The markets file.
    start_ms : int
        First hour of the partitions, epoch milliseconds UTC.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_STARTER.format(start=to_iso(start_ms)))
    except FileExistsError as error:
        raise UsageError(f"{path} exists already.", "Edit it, or add to it with `regime markets add`.") from error


def add_market(path: Path, spec: MarketSpec, span_ms: tuple[int, int | None]) -> None:
    """Append a market at the end of the list; the file is created if there is none.

    Parameters
    ----------
    path : Path
        The markets file.
    spec : MarketSpec
        The market and its source.
    span_ms : tuple of int
        Start of the partitions of a new file and their end (None: open), epoch milliseconds UTC.

    Raises
    ------
    UsageError
        The market is listed already, needs an exchange or its 1m market, or the file cannot be edited.
    """
    if path.exists() and spec.market in load_universe(path).markets:
        raise UsageError(f"{spec.market} is listed in {path} already.", "Nothing to do; see regime markets list.")
    append_market(path, spec, span_ms)


def remove_market(path: Path, market: Market) -> None:
    """Take a market off the list; what is stored of it stays.

    Raises
    ------
    UsageError
        The market is not listed, another one is resampled from it, or the file cannot be edited.
    """
    specs = load_universe(path).specs
    if market not in [spec.market for spec in specs]:
        listed = ", ".join(str(spec.market) for spec in specs) or "none"
        raise UsageError(f"{market} is not in {path} (listed: {listed}).", "Name one that is listed.")
    derived = [s.market for s in specs if s.source == "resampled" and s.market.symbol == market.symbol]
    if market.timeframe == "1m" and derived:
        names = ", ".join(map(str, derived))
        raise UsageError(f"{names} is resampled from {market}.", f"Remove {names} first.")
    document = edit_document(path)
    entries = document["markets"]
    at = next(n for n, entry in enumerate(entries) if _holds(entry, market))
    if len(entries[at]["timeframes"]) > 1:
        entries[at]["timeframes"].remove(market.timeframe)
    else:
        del entries[at]
    save_document(path, document)


def _holds(entry: Any, market: Market) -> bool:
    return parse_symbol(entry["symbol"]) == market.symbol and market.timeframe in entry["timeframes"]
