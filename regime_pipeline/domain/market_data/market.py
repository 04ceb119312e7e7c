"""A market is a symbol on a timeframe; this is the only module that parses or prints one.

See `symbols` for the spellings of a symbol, `candles` for prices and candles.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.symbols import parse_symbol

__all__ = ["DAY_MS", "HOUR_MS", "MINUTE_MS", "TIMEFRAME_MINUTES", "Market", "parse_symbol"]

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
TIMEFRAME_MINUTES: Final = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "1d": 1440,
}


@dataclass(frozen=True, slots=True)
class Market:
    """A symbol on a timeframe, printed `ETH-USDT_1h`.

    Parameters
    ----------
    symbol : str
        `BASE-QUOTE` or `BASE-QUOTE-PERP`, upper case; any spelling that `parse_symbol` reads.
    timeframe : str
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
    """

    symbol: str
    timeframe: str

    def __post_init__(self) -> None:
        """Refuse what is not a market."""
        object.__setattr__(self, "symbol", parse_symbol(self.symbol))
        if self.timeframe not in TIMEFRAME_MINUTES:
            raise UsageError(f"'{self.timeframe}' is not a timeframe.", f"Use one of {', '.join(TIMEFRAME_MINUTES)}.")

    @classmethod
    def parse(cls, text: str, known: Collection[str] = ()) -> Market:
        """Read `ETH-USDT_1h`, also `ETHUSDT_1h`, `ETH/USDT_1h` or `BTC/USDT:USDT_1h`.

        Parameters
        ----------
        text : str
            SYMBOL_TIMEFRAME.
        known : collection of str
            Symbols that are stored or listed, see `parse_symbol`.

        Raises
        ------
        UsageError
            The text is not SYMBOL_TIMEFRAME, or its symbol can be split in several ways.
        """
        symbol, underscore, timeframe = text.strip().rpartition("_")
        if not underscore:
            raise UsageError(f"'{text}' is not a market.", "Write SYMBOL_TIMEFRAME, for example ETH-USDT_1h.")
        return cls(parse_symbol(symbol, known), timeframe)

    @property
    def key(self) -> str:
        """Partition key and file stem, `ETH-USDT_1h`."""
        return f"{self.symbol}_{self.timeframe}"

    @property
    def step_ms(self) -> int:
        """Length of a bar in milliseconds."""
        return TIMEFRAME_MINUTES[self.timeframe] * MINUTE_MS

    @property
    def observation_ms(self) -> int:
        """Distance of two observations: an hour, or a bar above one hour, in milliseconds."""
        return max(HOUR_MS, self.step_ms)

    def on(self, timeframe: str) -> Market:
        """Return the same symbol on another timeframe."""
        return Market(self.symbol, timeframe)

    def __str__(self) -> str:
        return self.key
