"""`Warehouse`, the database as the package sees it: one bulk write, one bulk read, and small questions.

See `bulk` for the steps of a write and a read, `small_stores` for small tables, `snapshots` for files.

API in short (times are epoch milliseconds UTC, windows are whole hours)::

    warehouse = Warehouse(url)                                  # picklable, lazy, thread-safe, a context manager
    warehouse.series_id(market, venue="binance", price_scale=100)          # get or create
    run_id = warehouse.start_run(code_version, config_hash, dagster_run_id)  # once per step, BEFORE it reads
    report = warehouse.replace_range("features", market, window, rows, run_id)
    rows = warehouse.read_range("features", market, window)     # dict of numpy arrays, sorted by the key
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64, Window
from regime_pipeline.storage import series_and_runs as catalog
from regime_pipeline.storage.admin.table_stats import TableSize, seconds_since_writes, table_sizes
from regime_pipeline.storage.bulk.batch import Content, prepare_batches
from regime_pipeline.storage.bulk.columns import BULK_TABLES, CANDLES, BulkTable, Rows, bulk_table
from regime_pipeline.storage.bulk.diff import WriteReport
from regime_pipeline.storage.bulk.ledger import (
    Month,
    Recorded,
    newest_hours,
    read_days,
    read_months,
    stale_hours,
    whole_days,
)
from regime_pipeline.storage.bulk.newest_rows import NewestRow, read_newest
from regime_pipeline.storage.bulk.stale_ranges import Reach, StaleRange, clear, read_stale_ranges
from regime_pipeline.storage.bulk.statements import lock
from regime_pipeline.storage.bulk.transaction import MarketWrite, apply_writes, revised_bars
from regime_pipeline.storage.bulk_reads import PRICES, BulkReads
from regime_pipeline.storage.pool import ConnectionPool, Cursor

TablesOfMarket = tuple[Market, Window, dict[BulkTable, Rows], Reach]


@dataclass(frozen=True, eq=False)
class HourCandles:
    """What `Warehouse.replace_candles` takes, but for the run."""

    market: Market
    window: Window
    candles: Candles
    hours: Rows
    reach: Reach

    def tables(self) -> dict[BulkTable, Rows]:
        """Return the rows by table."""
        prices = {name: self.candles.prices(name) for name in PRICES}
        bars = {"open_time": self.candles.open_time_ms, **prices, "volume": self.candles.volume}
        return {CANDLES: bars, BULK_TABLES["candle_hours"]: self.hours}


class Warehouse(BulkReads):
    """Rows of every asset in one PostgreSQL database.

    Parameters
    ----------
    url : str
        PostgreSQL URL in any spelling. Nothing is opened before the first use.

    Notes
    -----
    Safe in threads; pickles as its URL; a forked child opens connections of its own. Every method raises
    `StorageError` when the database refuses. Lost races and lost connections are retried as whole transactions.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(ConnectionPool(url))

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.url,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every idle connection; a later call opens new ones."""
        self._pool.close()

    # Bulk write

    def replace_range(self, table: str, market: Market, window: Window, rows: Rows, run_id: int) -> WriteReport:
        """Make a table hold exactly these rows of a market in a window, in one transaction.

        Parameters
        ----------
        table : str
            Name of a bulk table, for example `features`; also the asset in the ledger and in dirty marks.
        market : Market
            A market known to `series_id`.
        window : Window
            Whole hours. A bar belongs to the hour in which it closes.
        rows : mapping of ndarray, each of shape (n,)
            Exactly the table's columns, sorted by the key (`open_time` or `hour_start`, int64 epoch milliseconds UTC).
            NaN in floats of hourly tables and NaT (least int64) in times are stored as NULL; labels are int8 codes;
            documents are JSON texts or objects.
        run_id : int
            From `start_run`.

        Returns
        -------
        WriteReport
            What was written. Hours whose content (and configuration) is unchanged are not touched.

        Raises
        ------
        StorageError
            The rows are not sound (nothing is written), or the database refused.
        """
        return self.replace_ranges(table, [(market, window, rows)], run_id)[0]

    def replace_ranges(
        self, table: str, contents: Sequence[tuple[Market, Window, Rows]], run_id: int
    ) -> list[WriteReport]:
        """Do what `replace_range` does for several markets, each given once, in one transaction and few statements.

        Parameters
        ----------
        contents : sequence of (Market, Window, Rows)
            As in `replace_range`; all are written or none.
        """
        if table == CANDLES.name:
            raise StorageError("Candles are written with their hours.", "Call replace_candles.")
        tables: list[TablesOfMarket] = [
            (market, window, {bulk_table(table): rows}, {}) for market, window, rows in contents
        ]
        return [report for (report,) in self._write(tables, run_id)]

    def replace_candles(
        self, market: Market, window: Window, candles: Candles, hours: Rows, run_id: int, reach: Reach
    ) -> tuple[WriteReport, WriteReport]:
        """Make `candles` and `candle_hours` hold exactly these rows of a window, in one transaction.

        Changed and removed candles keep their former values in `candle_revisions`. Where that, or a candle that
        comes late, alters what downstream assets were computed from, their hours are marked dirty.

        Parameters
        ----------
        market : Market
            A market known to `series_id`.
        window : Window
            Whole hours.
        candles : Candles
            The bars that close in the window.
        hours : mapping of ndarray
            `hour_start`, `expected`, `present`, `status` of each hour (see `completeness.hour_statuses`).
        run_id : int
            From `start_run`.
        reach : mapping of str to int
            Asset to how far after a changed bar's close its rows may change, in milliseconds.

        Returns
        -------
        tuple of WriteReport
            Of `candles` and of `candle_hours`. Errors as `replace_range`.
        """
        return self.replace_candles_of([HourCandles(market, window, candles, hours, reach)], run_id)[0]

    def replace_candles_of(self, contents: Sequence[HourCandles], run_id: int) -> list[tuple[WriteReport, WriteReport]]:
        """Do what `replace_candles` does for several markets, each given once, in one transaction."""
        tables: list[TablesOfMarket] = []
        for given in contents:
            scale = self.price_scale(given.market)
            if given.candles.market != given.market or given.candles.price_scale != scale:
                raise StorageError(
                    f"Candles of {given.candles.market} at scale {given.candles.price_scale} given for {given.market} "
                    f"at scale {scale}.",
                    "Convert them first.",
                )
            tables.append((given.market, given.window, given.tables(), given.reach))
        return [(bars, statuses) for bars, statuses in self._write(tables, run_id)]

    def _write(self, tables: Sequence[TablesOfMarket], run_id: int) -> list[list[WriteReport]]:
        """Write the same tables of different markets under one lock each, taken in one order by every writer."""
        if not tables:
            return []
        self._found_of(market for market, *_ in tables)
        run = self._run(run_id)
        numbers = [self._known(market).series_id for market, *_ in tables]
        by_table = [
            prepare_batches(
                table,
                [
                    Content(market, number, window, contents[table])
                    for (market, window, contents, _), number in zip(tables, numbers, strict=True)
                ],
                run.config_hash,
            )
            for table in tables[0][2]
        ]
        reaches = [reach for *_, reach in tables]
        writes = [MarketWrite(of, reach) for of, reach in zip(zip(*by_table, strict=True), reaches, strict=True)]

        def work(cursor: Cursor) -> list[list[WriteReport]]:
            lock(cursor, [f"{batch.table.name}|{batch.series_id}" for write in writes for batch in write.batches])
            return apply_writes(cursor, writes, run)

        return self._pool.transact(work)

    # Questions

    def ledger(self, asset: str, market: Market, window: Window) -> Recorded:
        """Return hash, row count and run of each hour of a window (run 0: nothing recorded)."""
        series = self._found(market)
        if series is None:
            return Recorded.nothing(window)
        days = whole_days(window)
        (recorded,) = self._pool.query(lambda c: read_days(c, asset, [(series.series_id, days)]))
        return recorded.within(window)

    def months(self, asset: str, market: Market) -> list[Month]:
        """Return what is recorded of an asset by UTC month, oldest first."""
        series = self._found(market)
        return [] if series is None else self._pool.query(lambda c: read_months(c, asset, series.series_id))

    def stale_hours(self, asset: str, config_hash: str, start_ms: int, end_ms: int | None) -> dict[Market, int]:
        """Return how many recorded hours of a span another configuration wrote, by market; none are left out."""
        found = self._pool.query(lambda cursor: stale_hours(cursor, asset, config_hash, start_ms, end_ms))
        return {Market(symbol, timeframe): hours for symbol, timeframe, hours in found}

    def last_partition(self, asset: str, market: Market) -> int | None:
        """Return the start of the newest recorded hour of an asset, epoch milliseconds; None if there is none."""
        series = self._found(market)
        if series is None:
            return None
        return self._pool.query(lambda c: newest_hours(c, asset, [series.series_id])).get(series.series_id)

    def latest(self, market: Market, table: str = "candles") -> int | None:
        """Return the newest key of a market's rows in a bulk table, epoch milliseconds; None if there are none."""
        return self._ends([market], table, "max")[0]

    def oldest(self, market: Market, table: str = "candles") -> int | None:
        """Return the oldest key of a market's rows in a bulk table, epoch milliseconds; None if there are none."""
        return self._ends([market], table, "min")[0]

    def count_candles(self, market: Market, start_ms: int, end_ms: int) -> int:
        """Return how many candles open in [start, end); errors as `series_id`."""
        series_id = self._known(market).series_id
        return self._pool.query(lambda cursor: catalog.count_keys(cursor, CANDLES, series_id, start_ms, end_ms))

    def latest_of(self, markets: Sequence[Market], table: str = "candles") -> list[int | None]:
        """Return what `latest` does for several markets, in one statement."""
        return self._ends(markets, table, "max")

    def newest_rows(self) -> list[NewestRow]:
        """Return candle, verdict and advice of every market's newest hour, in one statement."""
        return self._pool.query(read_newest)

    def _ends(self, markets: Sequence[Market], table: str, which: catalog.End) -> list[int | None]:
        known, source = self._found_of(markets), bulk_table(table)
        ids = [series.series_id for series in known.values()]
        keys = self._pool.query(lambda c: catalog.end_keys(c, source, ids, which)) if ids else {}
        return [keys.get(known[market].series_id) if market in known else None for market in markets]

    def revised_bars(self, market: Market, start_ms: int, end_ms: int) -> Int64:
        """Return the open times in [start, end) whose candles were ever restated or removed, ascending, int64 ms."""
        self._known(market)
        return self.revised_bars_of([(market, start_ms, end_ms)])[0]

    def revised_bars_of(self, spans: Sequence[tuple[Market, int, int]]) -> list[Int64]:
        """Return what `revised_bars` does for several markets, in one statement; errors as `series_id`."""
        self._found_of(market for market, _, _ in spans)
        keys = [(self._known(market).series_id, start, end) for market, start, end in spans]
        return self._pool.query(lambda cursor: revised_bars(cursor, keys))

    def dirty(self, market: Market | None = None, asset: str | None = None) -> list[StaleRange]:
        """Return what corrections have made stale and nothing has recomputed yet, oldest mark first."""
        return self._pool.query(lambda cursor: read_stale_ranges(cursor, market, asset))

    def clear_stale(self, asset: str, market: Market, window: Window, run_id: int) -> None:
        """Clear the marks that the run could see over a window, for an asset that is stored outside the database."""
        self.clear_stale_of(asset, [(market, window)], run_id)

    def clear_stale_of(self, asset: str, windows: Sequence[tuple[Market, Window]], run_id: int) -> None:
        """Do what `clear_stale` does for several markets, each given once."""
        self._found_of(market for market, _ in windows)
        mark, numbered = self._run(run_id).dirty_mark, [(self._known(m).series_id, window) for m, window in windows]
        self._pool.transact(lambda c: clear(c, asset, numbered, mark))

    def table_sizes(self) -> list[TableSize]:
        """Return every table with its estimated rows and its bytes, indexes included."""
        return self._pool.query(table_sizes)

    def seconds_since_writes(self) -> dict[str, float]:
        """Return by asset how long ago it last wrote an hour, seconds."""
        return self._pool.query(seconds_since_writes)
