"""A market that no longer trades: its source is asked up to the end and vouches that nothing follows.

Any source can be ended; what it is does not matter here.
"""

from __future__ import annotations

from regime_pipeline.domain.candles import Candles
from regime_pipeline.domain.completeness import merge_spans
from regime_pipeline.domain.market import Market
from regime_pipeline.sources.base import CandleSource, Fetched


class EndedSource:
    """A source with an end.

    Parameters
    ----------
    source : CandleSource
        Asked for what opens before the end.
    until_ms : int
        When trading ended, epoch milliseconds UTC.
    empty : Candles
        No candles, of the market.
    """

    def __init__(self, source: CandleSource, until_ms: int, empty: Candles) -> None:
        self._source = source
        self._until_ms = until_ms
        self._empty = empty

    @property
    def venue(self) -> str:
        """Name of the source's venue."""
        return self._source.venue

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the candles that open in [start, end) before the end, and vouch for their absence after it."""
        end = min(end_ms, self._until_ms)
        answer = self._source.fetch(market, start_ms, end) if start_ms < end else Fetched(self._empty, ())
        after = (max(start_ms, self._until_ms), end_ms)
        spans = (*answer.covered, after) if after[0] < after[1] else answer.covered
        return Fetched(answer.candles, merge_spans(spans), answer.failure)

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the source's newest closed bar, or of the last one before the end."""
        newest = self._source.newest_closed_ms(market)
        return None if newest is None else min(newest, self._until_ms // market.step_ms * market.step_ms)
