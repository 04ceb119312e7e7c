"""What every source of candles offers: the closed candles of a span, and the spans in which it confirms gaps.

See the modules beside this one for the sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.completeness import Spans, is_covered, merge_spans
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.sorted_times import is_in


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of a source.

    Parameters
    ----------
    candles : Candles
        Every closed candle the source has with its open time in the span asked for.
    covered : tuple of (start_ms, end_ms)
        Half-open spans of open time, epoch milliseconds UTC, ascending and disjoint. A bar that is absent inside them
        does not exist at the exchange (a gap); one that is absent outside is not known yet (missing).
    failure : str
        Why a part of the span could not be asked for, in words; empty where nothing failed.
    """

    candles: Candles
    covered: Spans
    failure: str = ""


def joined(answer: Fetched, known: Fetched) -> Fetched:
    """Return a source's answer, completed by what was known before where the answer does not confirm absence."""
    times = known.candles.open_time_ms
    is_kept = ~is_covered(times, answer.covered) & ~is_in(times, answer.candles.open_time_ms)
    parts = [answer.candles, known.candles[is_kept]] if is_kept.any() else [answer.candles]
    return Fetched(concatenate(parts), merge_spans((*answer.covered, *known.covered)), answer.failure)


class CandleSource(Protocol):
    """A venue, a file import or a simulation that knows candles."""

    @property
    def venue(self) -> str:
        """Short name that is recorded with what was fetched."""
        ...

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the closed candles whose open time lies in [start_ms, end_ms).

        Raises
        ------
        SourceError
            The source failed; names the market and the span.
        """
        ...

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the newest closed bar, epoch milliseconds UTC; None while there is none."""
        ...
