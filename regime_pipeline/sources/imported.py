"""Imported series: the candles table itself is the source, with the coverage recorded on import.

How the table is read is injected. See `services.imports` for importing files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import clip_spans, confirmed_spans
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.sources.base import Fetched


class ImportedSource:
    """Candles that `regime import` stored.

    Parameters
    ----------
    read_candles : callable
        `(market, start_ms, end_ms) -> Candles`: the stored candles with their open time in the span.
    read_hours : callable
        `(market, window) -> columns`: the stored rows of `candle_hours`, at least `hour_start` (int64 epoch ms) and
        `status` (int8 codes into `schema.HOUR_STATUSES`).
    newest_close_ms : callable
        `(market) -> int | None`: close of the newest stored candle, epoch milliseconds UTC.
    """

    venue = "files"

    def __init__(
        self,
        read_candles: Callable[[Market, int, int], Candles],
        read_hours: Callable[[Market, Window], Mapping[str, NDArray[Any]]],
        newest_close_ms: Callable[[Market], int | None],
    ) -> None:
        self._read_candles = read_candles
        self._read_hours = read_hours
        self._newest_close_ms = newest_close_ms

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the stored candles whose open time lies in [start_ms, end_ms), and confirm the hours stored.

        Raises
        ------
        SourceError
            Nothing of the market was ever imported.
        """
        if self._newest_close_ms(market) is None:
            raise SourceError(f"No candles of {market} were ever imported.", f"regime import FILES --market {market}")
        start, end = start_ms // HOUR_MS * HOUR_MS, -(-end_ms // HOUR_MS) * HOUR_MS
        closing = Window(start, max(start, end) + market.observation_ms)
        hours = self._read_hours(market, closing)
        covered = confirmed_spans(market, hours["hour_start"], hours["status"])
        return Fetched(self._read_candles(market, start_ms, end_ms), clip_spans(covered, start_ms, end_ms))

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the newest imported bar, epoch milliseconds UTC."""
        return self._newest_close_ms(market)
