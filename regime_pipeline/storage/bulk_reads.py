"""Bulk reads of one database: the rows of a market's window or of many markets' spans, as arrays, candles and frames.

See `bulk.statements` for the statements, `warehouse` for writes and small questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.storage.bulk.columns import CANDLES, BulkTable, Rows, bulk_table
from regime_pipeline.storage.bulk.regime_reads import (
    ReadVersion,
    RegimeQuery,
    StoredRegimes,
    ask_regimes,
    ask_state,
    is_at_version,
    stored_regimes,
    with_candles,
)
from regime_pipeline.storage.bulk.statements import KeySpan, read_in_pages, read_spans
from regime_pipeline.storage.bulk.verdict_reads import StoredVerdicts, read_verdicts
from regime_pipeline.storage.market_registry import MarketRegistry
from regime_pipeline.storage.series_and_runs import Series

if TYPE_CHECKING:
    import pandas as pd

PAGE_ROWS: Final = 131_072
"""Most rows read by one statement: an array of texts stays far below PostgreSQL's 1 GB a value."""
PRICES: Final = ("open", "high", "low", "close")


def candles_of(market: Market, price_scale: int, rows: Rows) -> Candles:
    """Return rows of the table `candles` as candles."""
    return Candles.from_prices(market, price_scale, rows["open_time"], [rows[name] for name in PRICES], rows["volume"])


class BulkReads(MarketRegistry):
    """Reads of the bulk tables; a market that was never stored has no rows."""

    def read_range(
        self, table: str, market: Market, window: Window, columns: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Read the rows of a window, sorted by the key.

        Parameters
        ----------
        table : str
            Name of a bulk table.
        market : Market
            Symbol and timeframe; one that was never stored has no rows.
        window : Window
            Whole hours; the bars that close in them.
        columns : sequence of str, optional
            Columns wanted, in order (`run_id` can be asked for); all but run_id by default.

        Returns
        -------
        dict of ndarray
            Times int64 epoch milliseconds (NULL: NaT), labels int8 codes, NULL floats NaN, documents parsed.
        """
        source = bulk_table(table)
        return self._read(source, market, *source.key_bounds(market, window), tuple(columns or source.names))

    def read_spans(
        self, table: str, spans: Sequence[tuple[Market, int, int]], columns: Sequence[str] | None = None
    ) -> list[dict[str, NDArray[Any]]]:
        """Read the rows of several markets whose key lies in [start, end), by a statement for about `PAGE_ROWS` rows.

        Parameters
        ----------
        table, columns
            As in `read_range`.
        spans : sequence of (Market, int, int)
            Whose rows, and from when to when, epoch milliseconds UTC.

        Returns
        -------
        list of dict of ndarray
            For each span what `read_range` returns.
        """
        source = bulk_table(table)
        names = tuple(columns or source.names)
        known = self._found_of(market for market, _, _ in spans)
        found: list[dict[str, NDArray[Any]]] = []
        for page in _pages(source, spans):
            stored = [(known[market].series_id, start, end) for market, start, end in page if market in known]
            rows = iter(self._read_page(source, page[0][0].step_ms, stored, names))
            found += [next(rows) if market in known else source.empty(names) for market, _, _ in page]
        return found

    def read_candles(self, market: Market, start_ms: int, end_ms: int) -> Candles:
        """Read the candles that open in [start, end); errors as `series_id`."""
        scale = self.price_scale(market)
        return candles_of(market, scale, self._read(CANDLES, market, start_ms, end_ms, CANDLES.names))

    def read_frame(
        self, table: str, market: Market, window: Window, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read a window as a frame: aware UTC times with `known_at`, categoricals, regime states by name."""
        from regime_pipeline.storage.frames import to_frame  # pandas takes a second to import

        return to_frame(bulk_table(table), market, self.read_range(table, market, window, columns))

    def regimes(self, wanted: Sequence[RegimeQuery]) -> list[StoredRegimes]:
        """Read candle regimes and which of them hold, each of one moment, in one round trip where everything holds.

        Raises
        ------
        MissingDataError
            A market is not stored.
        """
        known = [self._known(each.market) for each in wanted]
        sends = [partial(ask_regimes, series=series, wanted=each) for series, each in zip(known, wanted, strict=True)]
        return [
            self._whole(series, each, stored_regimes(cursor, each))
            for cursor, series, each in zip(self._pool.query_all(sends), known, wanted, strict=True)
        ]

    def _whole(self, series: Series, wanted: RegimeQuery, found: StoredRegimes) -> StoredRegimes:
        if found.is_current.all():
            return found
        return self._pool.transact(lambda cursor: with_candles(cursor, series, wanted, found))

    def are_regimes_as_marked(self, marked: Sequence[tuple[Market, ReadVersion]]) -> list[bool]:
        """Tell whether `regimes` would still return what it returned with these marks; errors as `regimes`."""
        sends = [partial(ask_state, series=self._known(market), mark=mark) for market, mark in marked]
        cursors = self._pool.query_all(sends)
        return [is_at_version(cursor, mark) for cursor, (_, mark) in zip(cursors, marked, strict=True)]

    def verdicts(self, market: Market, window: Window, config_hash: str, reach_hours: int) -> StoredVerdicts:
        """Read hourly verdicts and which of them hold, all of one moment (see `read_verdicts`); errors as `regimes`."""
        series = self._known(market)
        return self._pool.transact(lambda c: read_verdicts(c, series, market, window, config_hash, reach_hours))

    def _read(
        self, table: BulkTable, market: Market, start_ms: int, end_ms: int, names: tuple[str, ...]
    ) -> dict[str, NDArray[Any]]:
        series = self._found(market)
        if series is None:
            return table.empty(names)
        return self._read_page(table, market.step_ms, [(series.series_id, start_ms, end_ms)], names)[0]

    def _read_page(
        self, table: BulkTable, step_ms: int, spans: Sequence[KeySpan], names: tuple[str, ...]
    ) -> list[dict[str, NDArray[Any]]]:
        """Read spans of keys; a long one alone in pages of one snapshot, where one value could grow too large."""
        if not spans:
            return []
        series_id, start_ms, end_ms = spans[0]
        page_ms = PAGE_ROWS * (step_ms if table.is_per_bar else HOUR_MS)
        if len(spans) > 1 or end_ms - start_ms <= page_ms:
            return self._pool.query(lambda c: read_spans(c, table, spans, names))

        starts = range(start_ms, end_ms, page_ms)
        return [self._pool.transact(lambda c: read_in_pages(c, table, series_id, starts, end_ms, names))]


def _pages(table: BulkTable, spans: Sequence[tuple[Market, int, int]]) -> Iterator[list[tuple[Market, int, int]]]:
    """Cut spans so that none of the parts holds more than about `PAGE_ROWS` rows, unless it is one span alone."""
    page: list[tuple[Market, int, int]] = []
    rows = 0
    for market, start, end in spans:
        more = max(0, end - start) // (market.step_ms if table.is_per_bar else HOUR_MS)
        if page and rows + more > PAGE_ROWS:
            yield page
            page, rows = [], 0
        page.append((market, start, end))
        rows += more
    if page:
        yield page
