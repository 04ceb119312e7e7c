"""A source of a market that declares that an absent bar means that nobody traded.

Any source can be wrapped; see `domain.market_data.no_trade` for the bars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.no_trade import fill_no_trade
from regime_pipeline.sources.base import CandleSource, Fetched


class QuietSource:
    """The bars of a source, and flat bars of volume 0 where it confirms that there are none.

    Parameters
    ----------
    source : CandleSource
        What is asked.
    read_candles : callable
        `(market, start_ms, end_ms) -> Candles`: the stored candles with their open time in the span. The one directly
        before what is asked for is what absent bars at its beginning are flat at.
    """

    def __init__(self, source: CandleSource, read_candles: Callable[[Market, int, int], Candles]) -> None:
        self._source = source
        self._read_candles = read_candles

    @property
    def venue(self) -> str:
        """Name of the source's venue."""
        return self._source.venue

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the source's answer without holes in what it covers; errors as `CandleSource.fetch`."""
        answer = self._source.fetch(market, start_ms, end_ms)
        first = -(-start_ms // market.step_ms) * market.step_ms
        before = self._read_candles(market, first - market.step_ms, first)
        return replace(answer, candles=fill_no_trade(answer.candles, answer.covered, before))

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the source's newest closed bar."""
        return self._source.newest_closed_ms(market)
